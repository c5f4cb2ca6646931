"""Tempo: the order of one epoch among two voters or more (Enes et al., EuroSys 2021).

One ordering group, so no partial replication: every command conflicts with every other. Each step
takes one input; messages to oneself are taken within it. The rules and invariants stand in the
parts: promise_clock (C), promises (P), statement (S), rounds (F), recoveries (V), apply_order (O),
reads (L), upkeep (U), journal (J).
"""

from __future__ import annotations

from typing import Final

from actors.core.consensus.apply_order import ApplyOrder, Execution
from actors.core.consensus.group import Apply, Read, Reconfigure, Submit
from actors.core.consensus.intake import Batch, Intake
from actors.core.consensus.journal import Journal
from actors.core.consensus.known_command import KnownCommand
from actors.core.consensus.messages import (
    Accept,
    Accepted,
    BumpTo,
    ClockOf,
    CommandId,
    Commit,
    CommitRequest,
    Message,
    Packet,
    Payload,
    Propose,
    ProposeAck,
    ReadClock,
    Recover,
    RecoverAck,
    RecoverNack,
)
from actors.core.consensus.past import Past, PastCommand
from actors.core.consensus.promise_clock import PromiseClock
from actors.core.consensus.promises import Promises
from actors.core.consensus.reads import Reads
from actors.core.consensus.recoveries import Recoveries
from actors.core.consensus.replica import Replica
from actors.core.consensus.rounds import Rounds
from actors.core.consensus.statement import Statement, Statements
from actors.core.consensus.upkeep import Upkeep
from actors.errors import JobdError
from actors.model.epoch import Epoch

__all__ = ["Tempo"]

_HELLO_MS: Final = 1_000  # nobody is left without a statement for longer
_STUCK_MS: Final = 60
_OUTSTANDING: Final = 256  # own commands without an end; more wait in the intake


class Tempo:
    """One voter's part in one epoch. `known` are the commands that its log has not executed."""

    role: Final = "voter"

    def __init__(
        self,
        epoch: Epoch,
        me: int,
        incarnation: int,
        journal: Journal,
        past: Past,
        *,
        reserved: int = 0,
        known: dict[CommandId, KnownCommand] | None = None,
        durable_decisions: bool = True,
    ) -> None:
        attached = {c.proposal: id_ for id_, c in (known or {}).items() if c.proposal}
        clock = PromiseClock(reserved, dict(sorted(attached.items())))
        self.replica = Replica(epoch, me, incarnation, journal, past, clock)
        quorums = self.replica.quorums
        self.promises = Promises(quorums.n, quorums.stability)
        self.statements = Statements(clock, past.index)
        self.order = ApplyOrder(self.replica, self.promises, self.statements)
        is_durable = durable_decisions or quorums.f == 0  # else a proposal alone decides
        self.rounds = Rounds(self.replica, self.order, durable_decisions=is_durable)
        self.recoveries = Recoveries(self.replica, self.rounds)
        self.reads = Reads(self.replica, self.order)
        self.upkeep = Upkeep(self.replica, self.rounds, self.recoveries, self.promises)
        self._intake = Intake()
        self._mine: dict[CommandId, Batch] = {}
        self._told: dict[int, tuple[int, int]] = {}  # the clock as last stated to each, and when
        self._stuck = (0, 0)  # (timestamp whose turn is next, since when)
        self._resume(known or {})
        self._handlers = {
            Accept: self.rounds.on_accept,
            Accepted: self.rounds.on_accepted,
            BumpTo: self.reads.on_bump_to,
            ClockOf: self.reads.on_clock_of,
            Commit: self.rounds.on_commit,
            CommitRequest: self._on_commit_request,
            Payload: self.rounds.on_payload,
            Propose: self.rounds.on_propose,
            ProposeAck: self.rounds.on_propose_ack,
            ReadClock: self.reads.on_read_clock,
            Recover: self.recoveries.on_recover,
            RecoverAck: self.recoveries.on_recover_ack,
            RecoverNack: self.recoveries.on_recover_nack,
        }

    def _resume(self, known: dict[CommandId, KnownCommand]) -> None:
        """Go on from the log: never again at ballot 0, whose answers are forgotten."""
        r = self.replica
        r.known.update(known)
        for command in known.values():
            if command.is_committed:
                self.order.add(command)
            elif command.id[0] == r.me:
                command.is_amnesiac = self.rounds.may_have_decided(command)

    # -- inputs

    def submit(self, event: Submit | Reconfigure) -> JobdError | None:
        """Take a transaction; return why not."""
        return self._intake.add(event)

    def read(self, event: Read) -> None:
        """Begin a linearizable read."""
        self.reads.add(event.ticket)

    def receive(self, sender: int, packet: Packet) -> None:
        """Take a packet of this epoch."""
        if packet.floor <= self.replica.past.index:
            self.promises.learn(sender, packet.clock, packet.attached)
        for message in packet.messages:
            self._handle(sender, message)

    def _handle(self, sender: int, message: Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(sender, message)  # type: ignore[operator]

    def _on_commit_request(self, sender: int, message: CommitRequest) -> None:
        r = self.replica
        for id_ in message.ids:
            if not r.helped(sender, id_):
                known = r.known.get(id_)
                if known is not None and known.command is not None:
                    r.tell(sender, Payload(id_, known.command, known.quorum))

    def synced(self, record: int) -> None:
        """Take that the log is durable up to a record, before what is held for it is done."""
        self.replica.clock.synced(record)

    def not_synced(self) -> list[Submit | Reconfigure]:
        """The disk is full: give back what was not proposed; the rest is tried again."""
        return self._intake.clear()

    def believe(self, alive: frozenset[str], leader: str) -> None:
        """Take the failure detector's word."""
        r = self.replica
        r.alive = frozenset(j for j in r.everyone if j == r.me or r.epoch.node_of(j) in alive)
        r.leader = r.epoch.replica_of(leader) or min(r.alive)

    def tick(self) -> None:
        """Repeat, ask, recover, and state what has changed."""
        r = self.replica
        self.upkeep.tick()
        self.reads.retry()
        stuck_at = self._stuck_at()
        for j in r.others:
            if stuck_at:
                r.tell(j, BumpTo(stuck_at))  # whose answer has its statement
            elif j in r.alive and self._owes(j):
                r.owe(j)

    def _owes(self, replica: int) -> bool:
        """Say whether a replica is to hear from this one without a reason of its own."""
        clock, at_ms = self._told.get(replica, (-1, 0))
        return clock != self.replica.clock.stated or self.replica.now_ms - at_ms >= _HELLO_MS

    def _stuck_at(self) -> int:
        """Return the timestamp of a command that waits long for statements that were lost, or 0."""
        r, ts = self.replica, self.order.next_ts
        if self._stuck[0] != ts:
            self._stuck = (ts, r.now_ms)
        elif ts and r.now_ms - self._stuck[1] >= _STUCK_MS:
            self._stuck = (ts, r.now_ms)
            return ts
        return 0

    @property
    def is_busy(self) -> bool:
        """Whether ticks have something to do soon."""
        r = self.replica
        if r.known or self._intake.queue or not self.reads.is_idle or not r.journal.is_idle:
            return True
        stated = r.clock.stated
        return any(self._told.get(j, (-1, 0))[0] != stated for j in r.others if j in r.alive)

    # -- what follows

    def run(self) -> list[Apply]:
        """Propose what waits, take messages to oneself, execute what is stable."""
        inbox, order = self.replica.inbox, self.order
        applies: list[Apply] = []
        while True:
            if self._intake.queue and self._may_propose():
                batch = self._intake.take()
                self._mine[self.rounds.begin(batch)] = batch
            while inbox:
                self._handle(self.replica.me, inbox.popleft())
            for execution in order.run() if order.ready else ():
                applies.append(self._applied(execution))
                if execution[2].epoch is not None:
                    return applies
            if not inbox and not (self._intake.queue and self._may_propose()):
                return applies

    def _may_propose(self) -> bool:
        return self.replica.journal.is_free and len(self._mine) < _OUTSTANDING

    def fetched(self, command: PastCommand) -> Apply:
        """Execute the next command as another replica has."""
        return self._applied(self.order.execute_fetched(command.ts, command.id, command.command))

    def _applied(self, execution: Execution) -> Apply:
        index, id_, decoded = execution
        mine = self._mine.pop(id_, None)
        tickets = mine.tickets if mine is not None else (0,) * len(decoded.txns)
        return Apply(index, decoded.txns, tickets, decoded.epoch)

    def ready(self) -> list[int]:
        """Return the reads that may be served."""
        return self.reads.ready()

    def unanswered(self) -> list[Submit | Reconfigure]:
        """Give back what this epoch did not execute: it is void here."""
        given: list[Submit | Reconfigure] = []
        for batch in self._mine.values():
            given += batch.events()
        return given + self._intake.clear()

    def unread(self) -> list[int]:
        """Give back the reads that were not served."""
        return self.reads.clear()

    def outgoing(self) -> dict[int, list[Message]]:
        """Return the messages of this step, by replica."""
        messages, self.replica.outbox = self.replica.outbox, {}
        return messages

    def statement(self, replica: int, executed: int) -> Statement:
        """Return what a replica is told of the promises."""
        statement = self.statements.for_peer(executed)
        self._told[replica] = (statement.clock, self.replica.now_ms)
        return statement

    def dropped(self, upto: int) -> None:
        """Take that commands up to an index are executed everywhere, or beyond the bound."""
        self.statements.drop(upto)

    # -- for the image

    @property
    def reserved(self) -> int:
        """What the clock will not pass before it is recorded."""
        return self.replica.clock.reserving

    @property
    def first_needed(self) -> int:
        """The first log record that a restart needs beside an image of now."""
        records = [c.first_record for c in self.replica.known.values() if c.first_record]
        return min(records, default=self.replica.journal.durable + 1)
