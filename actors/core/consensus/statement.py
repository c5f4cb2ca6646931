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

__all__ = ["Statement", "Statements"]

_LONGEST: Final = 1_000  # executed commands told to who lags; one that lags further catches up


class Statement(NamedTuple):
    """The clock, the timestamps that belong to commands, and the floor."""

    clock: int
    attached: tuple[tuple[int, CommandId], ...]
    floor: int


class Statements:
    """Makes statements. `index` is how many commands were executed when this replica began."""

    def __init__(self, clock: PromiseClock, index: int) -> None:
        self._clock = clock
        self._floor = index  # promises of commands executed before a restart are not known
        self._executed: deque[tuple[int, int, CommandId]] = deque()  # (index, timestamp, id)

    def executed(self, index: int, proposal: int, id_: CommandId) -> None:
        """Note that a command with a timestamp of this replica's was executed."""
        if proposal:
            del self._clock.attached[proposal]
            self._executed.append((index, proposal, id_))
            if len(self._executed) > _LONGEST:
                self._floor = self._executed.popleft()[0]

    def drop(self, upto: int) -> None:
        """Forget what everybody has executed."""
        while self._executed and self._executed[0][0] <= upto:
            self._floor = self._executed.popleft()[0]

    def own(self) -> Statement:
        """Return the statement as it counts here."""
        stated = self._clock.stated
        return Statement(stated, self._unexecuted(stated), 0)

    def for_peer(self, executed: int) -> Statement:
        """Return the statement for a replica that has executed this many commands."""
        stated = self._clock.stated
        missing: list[tuple[int, CommandId]] = []
        for index, ts, id_ in reversed(self._executed):
            if index <= executed:
                break
            if ts <= stated:
                missing.append((ts, id_))
        attached = (*missing, *self._unexecuted(stated)) if missing else self._unexecuted(stated)
        return Statement(stated, attached, max(self._floor, executed))

    def _unexecuted(self, stated: int) -> tuple[tuple[int, CommandId], ...]:
        attached = self._clock.attached
        return tuple(pair for pair in attached.items() if pair[0] <= stated) if attached else ()
