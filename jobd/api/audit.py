"""What doors tell the audit trail.

A door says where a request came from (`Origin`); `perform` records every change with its outcome,
and whoever refuses a request says so by `deny`. A handler records nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from actors.core.audit import AuditDraft, AuditRecord, Head, Verdict
from actors.core.audit_port import AuditPage
from actors.errors import JobdError

__all__ = ["SUBJECT_CHARS", "Audit", "Origin", "recorded"]

SUBJECT_CHARS: Final = 256  # the rest of a longer path is cut off


class Origin(NamedTuple):
    """Where a request came from: the door, the other end's address, the request's id."""

    door: str
    remote: str = ""
    request: str = ""


class Audit(Protocol):
    """The audit trail of a node. All but the reads return at once."""

    def admit(self) -> None:
        """Let a change pass that can be recorded. Raises ReadOnly, Busy."""

    def note(self, draft: AuditDraft) -> None:
        """Record what was done, or what it failed with."""

    def deny(self, draft: AuditDraft) -> None:
        """Record a refusal; repeats are counted."""

    async def read(
        self, before: int, limit: int, wanted: Callable[[AuditRecord], bool]
    ) -> AuditPage:
        """Return wanted records with numbers below `before` (0: all), the newest first."""

    async def verify(self, kept: Head | None) -> Verdict:
        """Walk over the whole chain; `kept` is a head that was noted elsewhere."""


@contextmanager
def recorded(audit: Audit, draft: AuditDraft) -> Iterator[None]:
    """Record what is done within, with its outcome. Raises ReadOnly and Busy before it is done.

    What was broken off, by its caller or by a fault, has the outcome `unknown`.
    """
    audit.admit()
    outcome = "unknown"
    try:
        yield
        outcome = "ok"
    except JobdError as error:
        outcome = error.code
        raise
    finally:
        audit.note(replace(draft, subject=draft.subject[:SUBJECT_CHARS], outcome=outcome))
