"""What every replica has promised, and how far time is stable.

Rules:
P1  A statement is cumulative state, clock and attached together: the newer one replaces the older.
P2  A replica's frontier ends below its first attached timestamp whose command isn't committed here.
P3  A timestamp is stable when the frontiers of a stability quorum have reached it: then no unknown
    command can get one that is not larger (§4, Theorem 1 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable

from actors.core.consensus.messages import CommandId

__all__ = ["Promises"]

Attached = tuple[tuple[int, CommandId], ...]


class Promises:
    """The latest statement of each replica, by its number."""

    def __init__(self, n: int, stability: int) -> None:
        self._place = n - stability
        self._clocks = dict.fromkeys(range(1, n + 1), 0)
        self._attached: dict[int, Attached] = dict.fromkeys(range(1, n + 1), ())

    def learn(self, replica: int, clock: int, attached: Attached) -> None:
        """Take a statement, unless a newer one is known (P1)."""
        if clock >= self._clocks[replica]:
            self._clocks[replica] = clock
            self._attached[replica] = attached

    def frontier(self, replica: int, is_committed: Callable[[CommandId], bool]) -> int:
        """Return how far a replica's promises count here (P2)."""
        frontier = self._clocks[replica]
        if self._attached[replica]:
            # What is committed stays so: it is looked at once for each statement.
            waiting = tuple(p for p in self._attached[replica] if not is_committed(p[1]))
            self._attached[replica] = waiting
            for ts, _ in waiting:
                frontier = min(frontier, ts - 1)
        return frontier

    def stable(self, is_committed: Callable[[CommandId], bool]) -> int:
        """Return the highest stable timestamp (P3)."""
        frontiers = sorted(self.frontier(replica, is_committed) for replica in self._clocks)
        return frontiers[self._place]

    def unknown(self, is_committed: Callable[[CommandId], bool]) -> set[CommandId]:
        """Return the commands that somebody has promised a timestamp and that aren't committed."""
        return {
            id_
            for attached in self._attached.values()
            for _, id_ in attached
            if not is_committed(id_)
        }
