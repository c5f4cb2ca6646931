"""Linearizable reads by quorum clocks: no log entry, no fsync.

Rules:
L1  Whatever had ended before a read began was stable, so a majority's clocks had reached its
    timestamp: the highest clock of a majority is at least that.
L2  The read may be served once everything up to that clock is executed here; the others are asked
    to skip to it, so that it gets stable although nothing is written.
L3  Reads that come while a round is under way share the next one.
"""

from __future__ import annotations

from functools import partial

from actors.core.consensus.apply_order import ApplyOrder
from actors.core.consensus.messages import BumpTo, ClockOf, ReadClock
from actors.core.consensus.replica import Replica

__all__ = ["Reads"]


class Reads:
    """The reads of one replica, by ticket."""

    def __init__(self, replica: Replica, order: ApplyOrder) -> None:
        self._replica = replica
        self._order = order
        # An answer to a process before this one counts for nothing: its clock is of then.
        self._number = replica.incarnation << 32
        self._clocks: dict[int, int] | None = None  # of the round under way
        self._asking: list[int] = []
        self._waiting: list[int] = []
        self._settling: list[tuple[int, list[int]]] = []  # (timestamp, tickets)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits."""
        return not (self._waiting or self._asking or self._settling)

    def add(self, ticket: int) -> None:
        """Begin a read, or have it wait for the next round (L3)."""
        self._waiting.append(ticket)
        if self._clocks is None:
            self._begin()

    def _begin(self) -> None:
        r = self._replica
        self._number += 1
        self._asking, self._waiting = self._waiting, []
        self._clocks = {r.me: r.clock.clock}
        for j in r.others:
            r.tell(j, ReadClock(self._number))
        self._conclude()

    def on_read_clock(self, sender: int, message: ReadClock) -> None:
        """Say how far this replica's clock is."""
        self._replica.tell(sender, ClockOf(message.number, self._replica.clock.clock))

    def on_clock_of(self, sender: int, message: ClockOf) -> None:
        """Count a clock."""
        if self._clocks is not None and message.number == self._number:
            self._clocks[sender] = message.clock
            self._conclude()

    def _enough(self) -> int:
        return self._replica.quorums.n // 2 + 1

    def _conclude(self) -> None:
        r = self._replica
        if self._clocks is None or len(self._clocks) < self._enough():
            return
        ts = max(self._clocks.values())
        self._settling.append((ts, self._asking))
        self._clocks, self._asking = None, []
        r.bump(ts)
        if not self._order.shows(ts):
            for j in r.others:
                r.tell(j, BumpTo(ts))
        if self._waiting:
            self._begin()

    def on_bump_to(self, sender: int, message: BumpTo) -> None:
        """Skip; the packet that answers has the statement, once it is durable."""
        r = self._replica
        r.bump(message.ts)
        r.journal.behind(partial(r.owe, sender))

    def ready(self) -> list[int]:
        """Return the tickets that may be served now (L2)."""
        done: list[int] = []
        while self._settling and self._order.shows(self._settling[0][0]):
            done += self._settling.pop(0)[1]
        return done

    def retry(self) -> None:
        """Ask again who has not answered."""
        r = self._replica
        if self._clocks is not None:
            for j in r.others:
                if j not in self._clocks:
                    r.tell(j, ReadClock(self._number))
        for ts, _ in self._settling[-1:]:
            for j in r.others:
                r.tell(j, BumpTo(ts))

    def clear(self) -> list[int]:
        """Give back all that wait."""
        waiting = self._asking + self._waiting
        for _, tickets in self._settling:
            waiting += tickets
        self._asking, self._waiting, self._settling, self._clocks = [], [], [], None
        return waiting
