"""A stand-in for consensus: one order of transactions, which all nodes follow at their own pace.

It keeps what the actors above rest on: a transaction is ordered only while its node is in contact
with a majority of voters, each node applies the same order to a state of its own, and answers come
from that. Tests of what stands above consensus need no more of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors import addresses
from actors.consensus_replica import Barrier, Nudge, Published, SubmitTxn, Subscribe
from actors.core.consensus.group import Alive
from actors.core.store.state import State
from actors.core.store.txn import Committed, SessionRef, Txn
from actors.model.event import Event
from actors.runtime import (
    After,
    Context,
    Effect,
    Effects,
    LoopActor,
    Reply,
    ReplyTo,
    Tell,
    handles,
)
from tests.sim.cluster.host import ClusterHost

__all__ = ["SharedOrder", "SharedReplica"]

_PULL_S = 0.02
_COMMIT_S = (0.004, 0.03)


class _Pull(msgspec.Struct, frozen=True):
    pass


class _Order(msgspec.Struct, frozen=True):
    ticket: int


class SharedOrder:
    """What was ordered, of all nodes: (node, life of its replica, ticket, transaction)."""

    def __init__(self, host: ClusterHost, voters: tuple[str, ...]) -> None:
        self.host = host
        self.voters = voters
        self.up: set[str] = set()
        self.entries: list[tuple[str, int, int, Txn]] = []

    def has_quorum(self, node: str) -> bool:
        """Say whether a node is in contact, both ways, with a majority of voters that run."""
        reaches = self.host.reaches
        there = [v for v in self.voters if v in self.up and reaches(node, v) and reaches(v, node)]
        return len(there) > len(self.voters) // 2


class SharedReplica(LoopActor):
    """One node's replica. `events` are what its state emitted so far, `alive` the last hint."""

    mailbox_limit = 65_536

    def __init__(self, order: SharedOrder, state: State, *, node: str, life: int) -> None:
        super().__init__()
        self._order = order
        self._state = state
        self._node = node
        self._life = life
        self._applied = 0
        self._ticket = 0
        self._session = 0
        self._opening: int | None = None
        self._waiting: dict[int, tuple[SubmitTxn, ReplyTo]] = {}
        self._unordered: set[int] = set()
        self._early: list[tuple[SubmitTxn, ReplyTo]] = []
        self._subscribers: list[str] = []
        self.events: list[Event] = []
        self.alive: list[Alive] = []

    def on_start(self) -> Effects:
        """Follow the order from its beginning."""
        self._order.up.add(self._node)
        return [After(_PULL_S, _Pull(), key="pull")]

    @handles(SubmitTxn)
    def submit(self, message: SubmitTxn, context: Context) -> Iterator[Effect]:
        """Order a transaction when a majority is in contact."""
        assert context.reply is not None
        yield from self._submit(message, context.reply)

    def _submit(self, message: SubmitTxn, reply: ReplyTo) -> Iterator[Effect]:
        if not self._session and not message.opens_session:
            self._early.append((message, reply))
            return
        self._ticket += 1
        self._waiting[self._ticket] = (message, reply)
        self._unordered.add(self._ticket)
        if message.opens_session:
            self._opening = self._ticket
        yield After(self.rng.uniform(*_COMMIT_S), _Order(self._ticket), key=self._ticket)

    @handles(_Order)
    def order(self, message: _Order, context: Context) -> Effects:
        """Have it ordered, or try again in a moment."""
        ticket = message.ticket
        if ticket not in self._unordered:
            return None
        if not self._order.has_quorum(self._node):
            return [After(0.1, message, key=ticket)]
        self._unordered.discard(ticket)
        submitted, _ = self._waiting[ticket]
        number = 0 if submitted.opens_session else self._session
        ref = SessionRef(self._node, number, ticket, min(self._waiting))
        txn = msgspec.structs.replace(submitted.txn, session=ref)
        self._order.entries.append((self._node, self._life, ticket, txn))
        return None

    @handles(Barrier)
    def barrier(self, message: Barrier, context: Context) -> Effects:
        """Answer from what is applied."""
        return [Reply(context.reply)]

    @handles(Subscribe)
    def subscribe(self, message: Subscribe, context: Context) -> Effects:
        """Add a follower."""
        assert context.sender is not None
        if context.sender not in self._subscribers:
            self._subscribers.append(context.sender)
        return [Tell(context.sender, Nudge())]

    @handles(Alive)
    def hint(self, message: Alive, context: Context) -> Effects:
        """Keep what the failure detector believes."""
        self.alive.append(message)
        return None

    @handles(_Pull)
    def pull(self, message: _Pull, context: Context) -> Iterator[Effect]:
        """Apply what was ordered since, unless a majority is out of reach."""
        yield After(self.rng.uniform(0.5, 1.5) * _PULL_S, message, key="pull")
        if not self._order.has_quorum(self._node):
            return
        before = self._state.revision
        entries = self._order.entries[self._applied :]
        self._applied += len(entries)
        for node, life, ticket, txn in entries:
            result = self._state.apply(txn)
            if (node, life) != (self._node, self._life):
                continue
            _, reply = self._waiting.pop(ticket)
            if ticket == self._opening and isinstance(result, Committed):
                self._opening, self._session = None, result.revision
                early, self._early = self._early, []
                for kept in early:
                    yield from self._submit(*kept)
            yield Reply(reply, result)
        events = self._state.take_events()
        if events:
            self.events.extend(events)
            yield Tell(addresses.EVENT_BUS, Published(tuple(events)))
        if self._state.revision != before:
            for subscriber in self._subscribers:
                yield Tell(subscriber, Nudge())
