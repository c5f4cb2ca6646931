"""What this replica tells each other one of its promises.

Rules:
S1  An attached timestamp is told until its receiver has executed the command: left out earlier, it
    would look detached there, and the receiver would pass the command over.
S2  `floor` says up to which index commands may be left out; who has executed fewer ignores the
    statement and catches up first.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from actors.core.consensus.messages import CommandId
from actors.core.consensus.promise_clock import PromiseClock

__all__ = ["Attached", "Statement", "Statements"]

_LONGEST: Final = 1_000  # executed commands told to who lags; one that lags further catches up


Attached = tuple[int, CommandId]  # a timestamp, and whose it is


class Statement(NamedTuple):
    """The clock, the timestamps that belong to commands, and the floor."""

    clock: int
    attached: tuple[Attached, ...]
    floor: int


class Statements:
    """Makes statements. `index` is how many commands were executed when this replica began."""

    def __init__(self, clock: PromiseClock, index: int) -> None:
        self._clock = clock
        self._floor = index  # promises of commands executed before a restart are not known
        self._executed: deque[tuple[int, Attached]] = deque()  # by index
        self._made: dict[int, Statement] = {}  # for who has executed so much, while nothing changes
        self._made_at = (0, 0)

    def executed(self, index: int, proposal: int, id_: CommandId) -> None:
        """Note that a command with a timestamp of this replica's was executed."""
        if proposal:
            del self._clock.attached[proposal]
            self._made.clear()
            self._executed.append((index, (proposal, id_)))
            if len(self._executed) > _LONGEST:
                self._floor = self._executed.popleft()[0]

    def drop(self, upto: int) -> None:
        """Forget what everybody has executed."""
        while self._executed and self._executed[0][0] <= upto:
            self._floor = self._executed.popleft()[0]
            self._made.clear()

    def own(self) -> Statement:
        """Return the statement as it counts here."""
        stated = self._clock.stated
        return Statement(stated, self._unexecuted(stated), 0)

    def for_peer(self, executed: int) -> Statement:
        """Return the statement for a replica that has executed this many commands."""
        stated = self._clock.stated
        now = (stated, self._clock.clock)  # which an issued timestamp moves
        if self._made_at != now:
            self._made_at = now
            self._made.clear()
        made = self._made.get(executed)
        if made is None:
            made = self._made[executed] = self._make(stated, executed)
        return made

    def _make(self, stated: int, executed: int) -> Statement:
        missing: list[Attached] = []
        for index, attached in reversed(self._executed):
            if index <= executed:
                break
            if attached[0] <= stated:
                missing.append(attached)
        waiting = self._unexecuted(stated)
        floor = self._floor if self._floor > executed else executed
        return Statement(stated, (*missing, *waiting) if missing else waiting, floor)

    def _unexecuted(self, stated: int) -> tuple[Attached, ...]:
        attached = self._clock.attached
        if not attached or next(reversed(attached)) <= stated:  # they are in their order
            return tuple(attached.items())
        return tuple([pair for pair in attached.items() if pair[0] <= stated])
