"""The order of execution: by (timestamp, id), as far as timestamps are stable (§3.3 of the paper).

Rules:
O1  A command is executed once no unknown one can come before it: its timestamp is stable.
O2  Ties are broken by id; so nothing above the stable timestamp may run, not even one that looks
    like the next.
O3  A reconfiguration is the last command of its epoch: nothing behind it is executed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from actors.core.consensus.command import Decoded, decode_command
from actors.core.consensus.known_command import KnownCommand
from actors.core.consensus.messages import CommandId
from actors.core.consensus.past import PastCommand
from actors.core.consensus.promises import Promises
from actors.core.consensus.records import EXECUTE, Executed, encode_record
from actors.core.consensus.replica import Replica
from actors.core.consensus.statement import Statements

__all__ = ["ApplyOrder", "Execution"]

Execution = tuple[int, CommandId, Decoded]  # (index, id, what it holds)


class ApplyOrder:
    """The committed commands of a replica that are not executed: `ready`, a heap."""

    def __init__(self, replica: Replica, promises: Promises, statements: Statements) -> None:
        self._replica = replica
        self._promises = promises
        self._statements = statements
        self.ready: list[tuple[int, CommandId]] = []
        self._stated = -1

    def add(self, command: KnownCommand) -> None:
        """Have a committed command wait for its turn."""
        heapq.heappush(self.ready, (command.ts, command.id))
        self._promises.committed()

    def stable(self) -> int:
        """Return the highest stable timestamp, by what is stated and durable now."""
        if self._replica.clock.stated != self._stated:  # else it says the same as before
            own = self._statements.own()
            self._stated = own.clock
            self._promises.learn(self._replica.me, own.clock, own.attached)
        return self._promises.stable(self._replica.is_committed)

    @property
    def next_ts(self) -> int:
        """The timestamp of the command whose turn is next, 0 while there is none."""
        return self.ready[0][0] if self.ready else 0

    def shows(self, ts: int) -> bool:
        """Say whether everything up to a timestamp is executed."""
        return self.stable() >= ts and (not self.ready or self.ready[0][0] > ts)

    def run(self) -> Iterator[Execution]:
        """Execute what is stable, up to a reconfiguration (O3)."""
        if not self.ready:
            return
        stable, known = self.stable(), self._replica.known
        while self.ready and self.ready[0][0] <= stable:
            ts, id_ = self.ready[0]
            command = known.get(id_)
            if command is not None and command.command is None:
                return  # decided, but its bytes are still asked for
            heapq.heappop(self.ready)
            if command is None or command.command is None:
                continue  # executed as another replica did
            decoded = decode_command(command.command)
            yield self._execute(ts, id_, command.command), id_, decoded
            if decoded.epoch is not None:
                return

    def execute_fetched(self, ts: int, id_: CommandId, payload: bytes) -> Execution:
        """Execute the next command as another replica has; it is decided and stable there."""
        known = self._replica.known.get(id_)
        assert known is None or not known.is_committed or known.ts == ts, f"I1: {id_} at {ts}"
        self._replica.bump(ts)
        index = self._execute(ts, id_, payload)
        self._promises.committed()
        return index, id_, decode_command(payload)

    def _execute(self, ts: int, id_: CommandId, payload: bytes) -> int:
        r = self._replica
        known = r.known.pop(id_, None)
        is_logged = known is not None and known.first_record != 0 and known.command is not None
        proposal = known.proposal if known is not None else 0
        index = r.past.index + 1
        record = Executed(r.epoch.number, index, ts, id_, b"" if is_logged else payload)
        place = r.journal.append(EXECUTE, encode_record(record), lazy=True)
        first = known.first_record if known is not None and is_logged else place
        r.past.add(PastCommand(r.epoch.number, ts, id_, payload), first)
        self._statements.executed(index, proposal, id_)
        return index
