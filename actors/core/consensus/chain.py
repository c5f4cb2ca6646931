"""The chain of epochs: the group of the present one, and the step from one to the next.

Rules:
E1  An epoch ends with the reconfiguration that is executed in it, for everybody at the same
    command; what is behind it is void and is ordered again in the next one (the store's session
    table makes that exactly once).
E2  The record of the new epoch is durable, behind those of all that was executed before it, before
    this replica says anything in it.
E3  A node that hears of a later epoch catches up with the commands that lead there; it never votes
    ahead of them.
E4  Who gets a vote was a learner first, or begins with the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from actors.core.consensus.catch_up import CatchUp
from actors.core.consensus.change import unfit
from actors.core.consensus.executed_ids import ExecutedIds
from actors.core.consensus.group import (
    Alive,
    Apply,
    Effects,
    GroupStatus,
    Imaged,
    Input,
    NotSynced,
    Read,
    Receive,
    Reconfigure,
    Send,
    Submit,
    Synced,
    Tick,
)
from actors.core.consensus.journal import Journal
from actors.core.consensus.learner import Learner
from actors.core.consensus.messages import Fetch, Fetched, Message, Packet
from actors.core.consensus.packing import parts
from actors.core.consensus.past import Past, PastCommand
from actors.core.consensus.position import Position, encode_position
from actors.core.consensus.records import EPOCH, encode_record
from actors.core.consensus.solo import Solo
from actors.core.consensus.statement import Statement
from actors.core.consensus.tempo import Tempo
from actors.core.ports import LogEntry
from actors.errors import Conflict, JobdError
from actors.model.epoch import Epoch, Member

__all__ = ["Chain", "alone"]

_BUSY_TICK_MS: Final = 20
_IDLE_TICK_MS: Final = 250
_LAZY_MS: Final = 200  # then also lazy records are made durable
_NOTHING: Final = Effects()
_NO_STATEMENT: Final = Statement(0, (), 0)


class Chain:
    """Implements `Group` for one node over all epochs."""

    def __init__(
        self,
        node: str,
        group: Solo | Tempo | Learner,
        epoch: Epoch,
        journal: Journal,
        past: Past,
        *,
        incarnation: int,
        imaged: int = 0,
        durable_decisions: bool = True,
    ) -> None:
        self._node = node
        self._group = group
        self._epoch = epoch
        self._journal = journal
        self._past = past
        self._incarnation = incarnation
        self._imaged = imaged
        self._durable_decisions = durable_decisions
        self._catch_up = CatchUp(past)
        self._alive: Alive | None = None
        self._refused: list[tuple[int, JobdError]] = []
        self._outbox: dict[str, list[Message]] = {}
        self._fetched: list[PastCommand] = []
        self._hurried_ms = 0

    # -- a step

    def step(self, event: Input, now_ms: int) -> Effects:
        """Take one input and say what is to be done."""
        group, journal = self._group, self._journal
        if isinstance(group, Tempo):
            group.replica.now_ms = now_ms
        again: tuple[LogEntry, ...] = ()
        match event:
            case Receive():
                self._receive(event.sender, event.packet, now_ms)
            case Submit() | Reconfigure():
                refused = unfit(event, self._epoch) or group.submit(event)
                if refused is not None:
                    return Effects(refuse=((event.ticket, refused),))
                if not journal.is_free:
                    return _NOTHING  # it goes with the next command
            case Read():
                group.read(event)
            case Synced(index=index):
                group.synced(index)
                journal.synced(index)
            case NotSynced(error=error):
                journal.refused(now_ms)
                self._refuse(group.not_synced(), error)
            case Tick():
                again = journal.again(now_ms)
                if isinstance(group, Tempo):
                    group.tick()
                self._forget(now_ms)
                if now_ms - self._hurried_ms >= _LAZY_MS:
                    journal.hurry()
                    self._hurried_ms = now_ms
            case Alive():
                self._alive = event
                self._believe()
            case Imaged(index=index):
                self._imaged = max(self._imaged, index)
                self._forget(now_ms)
        return self._effects(again, now_ms, is_tick=isinstance(event, Tick))

    def _effects(self, again: tuple[LogEntry, ...], now_ms: int, *, is_tick: bool) -> Effects:
        """Go on as far as it goes, then say what is to be done."""
        applies, catch_up = self._run(), self._catch_up
        group = self._group
        is_learner = isinstance(group, Learner)
        if applies and isinstance(group, Solo):  # which has no ticks
            self._forget(now_ms)
        if is_tick or is_learner:
            self._ask(now_ms)
        for node, answer in catch_up.answers():
            self._outbox.setdefault(node, []).append(answer)
        ready = group.ready()
        forward = group.forward() if isinstance(group, Learner) else []
        refuse, self._refused = self._refused, []
        append = again or self._journal.take()
        send, behind = self._packets(), catch_up.take_behind()
        if not (append or send or applies or refuse or ready or forward or behind):
            return _NOTHING
        return Effects(
            append, send, tuple(applies), tuple(refuse), tuple(ready), tuple(forward), behind
        )

    def _run(self) -> list[Apply]:
        """Execute what can be, over the ends of epochs."""
        applies: list[Apply] = []
        while True:
            for apply in self._execute():
                if apply.epoch is None:
                    applies.append(apply)
                    continue
                epoch = msgspec.structs.replace(apply.epoch, start=self._past.index)
                applies.append(msgspec.structs.replace(apply, epoch=epoch))
                self._begin(epoch)
                break
            else:
                return applies

    def _execute(self) -> Iterable[Apply]:
        group = self._group
        if self._fetched and not isinstance(group, Solo):
            return self._execute_fetched(group)
        return group.run()

    def _execute_fetched(self, group: Tempo | Learner) -> Iterator[Apply]:
        while self._fetched:
            yield group.fetched(self._fetched.pop(0))
        yield from group.run()

    # -- epochs

    def _begin(self, epoch: Epoch) -> None:
        """Seal the present epoch and begin the next (E1, E2)."""
        old = self._group
        events, reads = old.unanswered(), old.unread()
        self._journal.drop_held()
        self._journal.append(EPOCH, encode_record(epoch))
        self._past.begin_epoch()
        self._epoch = epoch
        self._group = group = make_group(
            epoch,
            self._node,
            self._incarnation,
            self._journal,
            self._past,
            durable_decisions=self._durable_decisions,
        )
        self._believe()
        for event in events:
            if isinstance(event, Reconfigure):
                late = Conflict(
                    "another change of membership came first", remedy="look again, then decide"
                )
                self._refused.append((event.ticket, late))
            else:
                refused = group.submit(event)
                if refused is not None:
                    self._refused.append((event.ticket, refused))
        for ticket in reads:
            group.read(Read(ticket))

    def _believe(self) -> None:
        if self._alive is not None and isinstance(self._group, Tempo):
            self._group.believe(self._alive.nodes, self._alive.leader)

    def _refuse(self, events: list[Submit | Reconfigure], error: JobdError) -> None:
        self._refused += [(event.ticket, error) for event in events]

    # -- packets

    def _receive(self, sender: str, packet: Packet, now_ms: int) -> None:
        if packet.cluster != self._epoch.cluster:
            return
        if not self._catch_up.heard(sender, packet, now_ms):
            return
        for message in packet.messages:
            if isinstance(message, Fetch):
                self._catch_up.on_fetch(sender, message)
            elif isinstance(message, Fetched):
                self._take_fetched(sender, message, now_ms)
        if packet.epoch < self._epoch.number:
            if not any(isinstance(message, Fetch) for message in packet.messages):
                self._outbox.setdefault(sender, [])  # so that it learns of this epoch
            return
        group = self._group
        if isinstance(group, Tempo) and packet.epoch == self._epoch.number:
            replica = self._epoch.replica_of(sender)
            if replica is not None and replica == packet.replica:
                group.receive(replica, packet)

    def _take_fetched(self, sender: str, message: Fetched, now_ms: int) -> None:
        """Take the commands that come next, whoever was asked."""
        wanted = self._past.index + 1 + len(self._fetched)
        skip = wanted - message.first
        if 0 <= skip < len(message.commands):
            self._fetched += [PastCommand(*command) for command in message.commands[skip:]]
        elif not message.commands:
            self._catch_up.too_old(sender, message, now_ms)

    def _ask(self, now_ms: int) -> None:
        """Ask for what others have executed, if it is time."""
        if isinstance(self._group, Solo):
            return
        is_learner = isinstance(self._group, Learner)
        alive = self._alive.nodes if self._alive is not None else None
        ahead = self._catch_up.ahead()  # of a later epoch there may be other voters
        voters = [
            node
            for node in (dict.fromkeys((*self._epoch.nodes, *ahead)) if ahead or is_learner else ())
            if node != self._node and (alive is None or node in alive)
        ]
        question = self._catch_up.question(voters, now_ms, is_learner=is_learner)
        if question is not None:
            node, fetch = question
            self._outbox.setdefault(node, []).append(fetch)

    def _packets(self) -> tuple[Send, ...]:
        group = self._group
        if isinstance(group, Tempo):
            for replica, messages in group.outgoing().items():
                self._outbox.setdefault(self._epoch.node_of(replica), []).extend(messages)
        if not self._outbox:
            return ()
        outbox, self._outbox = self._outbox, {}
        return tuple(
            [
                Send(node, self._packet(node, part))
                for node, messages in outbox.items()
                for part in parts(messages)
            ]
        )

    def _packet(self, node: str, messages: tuple[Message, ...]) -> Packet:
        group, replica, statement = self._group, 0, _NO_STATEMENT
        if isinstance(group, Tempo):
            replica = group.replica.me
            to = self._epoch.replica_of(node)
            if to is not None:
                statement = group.statement(to, self._catch_up.executed(node))
        return Packet(
            self._epoch.cluster,
            self._epoch.number,
            replica,
            self._incarnation,
            self._past.index,
            self._imaged,
            statement.clock,
            statement.attached,
            statement.floor,
            messages,
        )

    def _forget(self, now_ms: int) -> None:
        """Drop the executed commands that nobody will ask for."""
        if isinstance(self._group, Solo) and not self._catch_up.places:
            upto = self._past.index
        else:
            upto = self._catch_up.kept_from(self._epoch.nodes, self._node, self._imaged, now_ms)
        self._past.drop(upto)
        if isinstance(self._group, Tempo):
            self._group.dropped(self._past.oldest - 1)

    # -- what it says

    @property
    def epoch(self) -> Epoch:
        """The present epoch."""
        return self._epoch

    @property
    def tick_ms(self) -> int:
        """How soon the next Tick is to come, 0: none is needed."""
        group = self._group
        if isinstance(group, Solo):  # which needs none, but to try a full disk again
            return _IDLE_TICK_MS if self._journal.is_refused else 0
        is_busy = isinstance(group, Tempo) and group.is_busy
        return _BUSY_TICK_MS if is_busy else _IDLE_TICK_MS

    @property
    def log_floor(self) -> int:
        """The image of this moment makes the log's records up to this index unnecessary.

        What is kept for laggards is kept in the log too.
        """
        kept = self._past.first_record
        needed = min(self._group.first_needed, self._journal.durable + 1)
        return (needed if kept is None else min(needed, kept)) - 1

    @property
    def index(self) -> int:
        """How many commands are executed."""
        return self._past.index

    def position(self) -> bytes:
        """Return what the image must say of consensus, beside the state of this moment."""
        past = self._past
        return encode_position(
            Position(self._epoch, past.index, past.last, past.ids.dump(), self._group.reserved)
        )

    def status(self, now_ms: int) -> GroupStatus:
        """Return what it says of itself."""
        group, peers = self._group, {n: p.executed for n, p in self._catch_up.places.items()}
        index = self._past.index
        if not isinstance(group, Tempo):
            lag = max([*peers.values(), index]) - index
            return GroupStatus(
                role=group.role, epoch=self._epoch, index=index, lag=lag, peers=peers
            )
        oldest = min((c.born_ms for c in group.replica.known.values()), default=now_ms)
        return GroupStatus(
            role=group.role,
            epoch=self._epoch,
            index=index,
            fast=group.rounds.fast,
            slow=group.rounds.slow,
            recovered=group.rounds.recovered,
            lag=max([len(group.replica.known), *(at - index for at in peers.values())]),
            unstable_ms=now_ms - oldest,
            peers=peers,
        )


def make_group(
    epoch: Epoch,
    node: str,
    incarnation: int,
    journal: Journal,
    past: Past,
    *,
    durable_decisions: bool = True,
) -> Solo | Tempo | Learner:
    """Return a node's part in an epoch that it begins with nothing known."""
    me = epoch.replica_of(node)
    if me is None:
        return Learner(epoch, journal, past)
    if len(epoch.members) == 1:
        return Solo(epoch, journal, past)
    return Tempo(epoch, me, incarnation, journal, past, durable_decisions=durable_decisions)


def alone(node: str, last_index: int = 0, *, cluster: str = "", incarnation: int = 1) -> Chain:
    """Return the group of a node alone; `last_index` is its log's last durable record."""
    epoch = Epoch(1, cluster or node, (Member(node),), 1)
    journal, past = Journal(last_index), Past(last_index, ids=ExecutedIds())
    return Chain(node, Solo(epoch, journal, past), epoch, journal, past, incarnation=incarnation)
