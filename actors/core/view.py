"""A read-only view of the replicated state, as decisions see it.

Every decision is a pure function of (view, time); its transaction's checks name the revisions
that it read here. The store, the simulator and the model checker each have a view of this form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

__all__ = ["Change", "Entry", "View"]


class Entry(NamedTuple):
    """A key's decoded noun and the revision that wrote it."""

    revision: int
    noun: Any


class Change(NamedTuple):
    """One key of one commit, in commit order; `deleted` when the commit removed it."""

    revision: int
    key: str
    deleted: bool


class View(Protocol):
    """What has been applied at this node."""

    @property
    def revision(self) -> int:
        """The last applied revision."""

    def get(self, key: str) -> Entry | None:
        """Return a key's entry, or None."""

    def scan(self, prefix: str, after: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of the keys with this prefix that are above `after`, in key order."""

    def count(self, prefix: str) -> int:
        """Return how many keys have this kind, or this prefix when it goes on after the kind."""

    def changes(self, after: int, limit: int) -> list[Change] | None:
        """Return changes of the revisions above `after`: about `limit`, never part of a commit.

        None when `after` has fallen off the ring: the caller rescans the state.
        """
