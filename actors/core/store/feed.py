"""The change feed: a ring of the last commits, read by cursor.

A subscriber holds the revision that it has seen and takes what came after it in its own turn, so
nothing is lost in a full mailbox and a slow subscriber costs only itself. One that fell off the
ring rescans the state: actors are level-triggered.
"""

from __future__ import annotations

from actors import limits
from actors.core.view import Change

__all__ = ["Feed"]


class Feed:
    """The last `size` commits. Revisions are dense, so a commit's place is its revision."""

    def __init__(self, revision: int = 0, size: int = limits.FEED_COMMITS) -> None:
        self._size = size
        self._ring: list[tuple[Change, ...]] = []  # as long as it has been needed
        self._first = revision + 1
        self._floor = revision
        self._revision = revision

    def push(self, revision: int, changes: tuple[Change, ...]) -> None:
        """Add the next commit."""
        assert revision == self._revision + 1, "revisions are dense"
        place = (revision - self._first) % self._size
        if place == len(self._ring):
            self._ring.append(changes)
        else:
            self._ring[place] = changes
        self._revision = revision
        self._floor = max(self._floor, revision - self._size)

    def after(self, revision: int, limit: int) -> list[Change] | None:
        """Return changes above a revision, whole commits, about `limit`; None below the floor."""
        if revision < self._floor:
            return None
        taken: list[Change] = []
        for r in range(revision + 1, self._revision + 1):
            taken.extend(self._ring[(r - self._first) % self._size])
            if len(taken) >= limit:
                break
        return taken
