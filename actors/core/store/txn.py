"""A transaction: what must hold, what it changes, and what became of it.

Checks name revisions: `at(key, r)` holds while the key is at revision r, `absent(key)` while there
is none, `exists(key)` while there is one. Decisions are made from a view; the checks name what
they were based on, and the store arbitrates: one of two commits, the other gets `Conflict`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.model.event import EventDraft

__all__ = [
    "ABSENT",
    "EXISTS",
    "Batch",
    "Check",
    "Committed",
    "Conflict",
    "Op",
    "Result",
    "SessionRef",
    "Stale",
    "Txn",
    "absent",
    "at",
    "exists",
]

ABSENT: Final = 0
EXISTS: Final = -1

Check = tuple[str, int]  # (key, revision | ABSENT | EXISTS)
Op = tuple[str, bytes | None]  # (key, new value | None to delete it)


class SessionRef(msgspec.Struct, frozen=True, array_like=True):
    """Whose transaction it is, for effectively-once: (node, revision of session/<node>, seq).

    `number` 0 is the transaction that opens a session; its own check makes it repeat-safe.
    `done_below`: answers of smaller seqs will never be asked for again.
    """

    node: str
    number: int
    seq: int
    done_below: int


class Txn(msgspec.Struct, frozen=True, array_like=True):
    """A conditional change of several keys. `now_ms` is a stamp; apply never compares times."""

    checks: tuple[Check, ...]
    ops: tuple[Op, ...]
    events: tuple[EventDraft, ...] = ()
    now_ms: int = 0
    session: SessionRef | None = None


class Committed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It holds, at this revision."""

    revision: int


class Conflict(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Some checks did not hold: their keys, with the revisions that these are at (0: absent)."""

    keys: tuple[Check, ...]


class Stale(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The session that submitted it has ended, or its answer was already forgotten."""


Result = Committed | Conflict | Stale


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What the group orders: transactions, each checked on its own, in this order."""

    txns: tuple[Txn, ...]


def at(key: str, revision: int) -> Check:
    """The key is at this revision."""
    return (key, revision)


def absent(key: str) -> Check:
    """There is no such key."""
    return (key, ABSENT)


def exists(key: str) -> Check:
    """There is such a key, at whatever revision."""
    return (key, EXISTS)
