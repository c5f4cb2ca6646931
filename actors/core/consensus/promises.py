"""What every replica has promised, and how far time is stable.

Rules:
P1  A statement is cumulative state, clock and attached together: the newer one replaces the older.
P2  A replica's frontier ends below its first attached timestamp whose command isn't committed here.
P3  A timestamp is stable when the frontiers of a stability quorum have reached it: then no unknown
    command can get one that is not larger (§4, Theorem 1 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable, Container

from actors.core.consensus.executed_ids import ExecutedIds
from actors.core.consensus.messages import CommandId
from actors.core.consensus.statement import Attached

__all__ = ["Promises"]


class Promises:
    """The latest statement of each replica, by its number."""

    def __init__(self, n: int, stability: int) -> None:
        self._place = n - stability
        self._clocks = dict.fromkeys(range(1, n + 1), 0)
        # The highest timestamp first, so that what gets committed is taken off the end.
        self._attached: dict[int, list[Attached]] = {j: [] for j in self._clocks}
        self._frontiers = dict(self._clocks)  # as they were last found
        self._stable: int | None = None  # None: look again

    def learn(self, replica: int, clock: int, attached: tuple[Attached, ...]) -> None:
        """Take a statement, unless a newer one is known (P1)."""
        if clock < self._clocks[replica]:
            return
        frontier = self._frontiers[replica]  # what is below is committed, and no news
        waiting = [pair for pair in attached if pair[0] > frontier]
        if len(waiting) > 1:
            waiting.sort(reverse=True)
        if clock != self._clocks[replica] or waiting != self._attached[replica]:
            self._clocks[replica] = clock
            self._attached[replica] = waiting
            self._stable = None

    def committed(self) -> None:
        """Take that one more command is committed here, so that frontiers may move."""
        self._stable = None

    def frontier(self, replica: int, is_committed: Callable[[CommandId], bool]) -> int:
        """Return how far a replica's promises count here (P2)."""
        waiting, clock = self._attached[replica], self._clocks[replica]
        while waiting and is_committed(waiting[-1][1]):
            waiting.pop()
        if waiting and waiting[-1][0] <= clock:
            clock = waiting[-1][0] - 1
        self._frontiers[replica] = clock
        return clock

    def stable(self, is_committed: Callable[[CommandId], bool]) -> int:
        """Return the highest stable timestamp (P3)."""
        if self._stable is None:
            frontiers = sorted([self.frontier(replica, is_committed) for replica in self._clocks])
            self._stable = frontiers[self._place]
        return self._stable

    def unknown(self, known: Container[CommandId], executed: ExecutedIds) -> set[CommandId]:
        """Return the commands that somebody has promised a timestamp, and that are neither."""
        return {
            id_
            for attached in self._attached.values()
            for _, id_ in attached
            if id_ not in known and id_ not in executed
        }
