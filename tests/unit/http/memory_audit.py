"""An audit trail in memory: the real chain, without files."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from actors.backends.seal_box import KeyFileBox
from actors.core.audit import AuditDraft, AuditRecord, Chain, Head, Verdict, Walk, decode_line
from actors.core.audit_port import AuditPage
from actors.errors import JobdError

__all__ = ["MemoryAudit", "MemoryBox"]


class MemoryAudit:
    """Implements jobd.api.audit.Audit."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.broken: JobdError | None = None
        self._chain = Chain(Head())

    @property
    def records(self) -> list[AuditRecord]:
        return [decode_line(line) for line in self.lines]

    def admit(self) -> None:
        if self.broken is not None:
            raise self.broken

    def note(self, draft: AuditDraft) -> None:
        lines, self._chain.head = self._chain.extend([draft])
        self.lines += lines.splitlines()

    deny = note

    async def read(
        self, before: int, limit: int, wanted: Callable[[AuditRecord], bool]
    ) -> AuditPage:
        found = [r for r in reversed(self.records) if wanted(r) and (not before or r.n < before)]
        return AuditPage(found[:limit], found[limit - 1].n if len(found) > limit else 0)

    async def verify(self, kept: Head | None) -> Verdict:
        walk = Walk(kept)
        for line in self.lines:
            walk.take(line, "memory")
        return walk.verdict()


class MemoryBox(KeyFileBox):
    """A node's key that is in no file."""

    def make_key(self) -> bytes:
        self._private = X25519PrivateKey.generate()
        return self._private.public_key().public_bytes_raw()
