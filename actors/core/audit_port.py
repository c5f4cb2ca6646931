"""The audit trail on a node's disk, as its actor needs it. A backend implements it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from actors.core.audit import AuditDraft, AuditRecord, Head, Verdict

__all__ = ["AuditLog", "AuditPage"]


class AuditPage(NamedTuple):
    """Records, the newest first; `before` is where to go on, 0 at the end."""

    records: list[AuditRecord]
    before: int


class AuditLog(Protocol):
    """Append-only. One thread appends; any thread may read meanwhile. Calls block."""

    @property
    def head(self) -> Head:
        """The end of the chain."""

    def append(self, drafts: list[AuditDraft]) -> None:
        """Write records: now they survive this process, and after `sync` a loss of power.

        Raises ReadOnly or StorageFailed, with nothing written; again is safe.
        """

    def sync(self) -> None:
        """Make what was appended durable. Raises ReadOnly, StorageFailed."""

    def prune(self, now_ms: int) -> int:
        """Drop the oldest segments past the limits of age and size; return how many went."""

    def read(self, before: int, limit: int, wanted: Callable[[AuditRecord], bool]) -> AuditPage:
        """Return wanted records with numbers below `before` (0: the newest).

        A page may be short, or empty, though there is more: a call looks at a bounded part.
        """

    def verify(self, kept: Head | None) -> Verdict:
        """Walk over the whole chain, as it was when the call began."""

    def close(self) -> None:
        """Make everything durable and release the files."""
