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
        # The highest timestamp first, so that what gets committed is taken off the end.
        self._attached: dict[int, list[tuple[int, CommandId]]] = {j: [] for j in self._clocks}

    def learn(self, replica: int, clock: int, attached: Attached) -> None:
        """Take a statement, unless a newer one is known (P1)."""
        if clock >= self._clocks[replica]:
            self._clocks[replica] = clock
            self._attached[replica] = sorted(attached, reverse=True)

    def frontier(self, replica: int, is_committed: Callable[[CommandId], bool]) -> int:
        """Return how far a replica's promises count here (P2)."""
        waiting, clock = self._attached[replica], self._clocks[replica]
        while waiting and is_committed(waiting[-1][1]):
            waiting.pop()
        return min(clock, waiting[-1][0] - 1) if waiting else clock

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
