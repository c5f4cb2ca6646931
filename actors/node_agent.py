"""The node agent: it keeps the node's session, and lets work begin only when all is compared.

It also carries out what operators want of the node, and what follows when it is cut off: a drain,
a cordon (`actors/core/node_state.py`), an isolation. A node of a cluster opens its session only in
contact with a majority, when the cluster's time is known. One that stops leaves, unless attempts go
on without it: it is back before the others give it up, or they do (R12).

Order at boot (R2, docs/internals/job-lifecycle.md): incarnation durable → the log replayed →
put `session/<node>` → applied → the job supervisor is spoken to, and lists what it holds → what
the store does not know is discarded → the scheduler may claim, `/readyz` says so. Before its
session is applied the node tells the supervisor nothing: a stale view acknowledges what it should
not, and starts finished attempts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core import job, node_state, session
from actors.core.launch import late_ending
from actors.core.peers import Peers
from actors.core.store.txn import Committed, Conflict, Txn
from actors.core.supervisor_protocol import Held, Welcome
from actors.core.view import Change, View
from actors.errors import JobdError
from actors.executor_slot import CutOff
from actors.model import keys
from actors.model.node import NodeRecord
from actors.run_log import Archive, Archived
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    Reply,
    ReplyTo,
    Tell,
    handles,
)
from actors.store_actor import StoreActor
from actors.supervisor_link import Connect, Discard, SupervisorReady

__all__ = ["ClaimsAllowed", "ClaimsForbidden", "Leave", "LookAtSlots", "NodeAgent"]

_RETRY_S = 1.0
_LONGEST_TIMER_S = 60.0


class ClaimsAllowed(msgspec.Struct, frozen=True):
    """To the scheduler: claim under this session, for this supervisor instance."""

    session: int
    supervisor: str


class ClaimsForbidden(msgspec.Struct, frozen=True):
    """To the scheduler: the session ended, and what is in flight of it fails; or the node stops."""


class LookAtSlots(msgspec.Struct, frozen=True):
    """To the scheduler: what is wanted of this node has changed; its slots are to compare anew."""


class Leave(msgspec.Struct, frozen=True):
    """The node stops. Answered, once that is decided, with whether it has left the cluster."""


class _DrainIsOver(msgspec.Struct, frozen=True):
    """The deadline of a drain, as it was set, has come."""


class _OpenSession(msgspec.Struct, frozen=True):
    pass


class _Describe(msgspec.Struct, frozen=True):
    pass


class _EndSession(msgspec.Struct, frozen=True):
    pass


class _KeepLog(msgspec.Struct, frozen=True):
    attempt: str


class _Late(msgspec.Struct, frozen=True):
    """The tag of a late result that is being told."""

    held: Held


class NodeAgent(StoreActor):
    """One per node. `next_incarnation` returns a number that is durable before it is returned.

    `describe` is what the node says of itself; its name is the session's too.
    """

    def __init__(
        self,
        view: View,
        *,
        peers: Peers,
        describe: Callable[[], NodeRecord],
        next_incarnation: Callable[[], int],
    ) -> None:
        super().__init__(view)
        self._peers = peers
        self._node = node = peers.node
        self._describe = describe
        self._next_incarnation = next_incarnation
        self._incarnation = next_incarnation()
        self._key = keys.session(node)
        self._session = 0
        self._welcome: Welcome | None = None
        self._is_cut_off = False
        self._is_opening = False
        self._is_describing = False
        self._leaving: list[ReplyTo] = []

    @property
    def waits_for(self) -> Literal["", "a majority", "its session", "the job supervisor"]:
        """What the node waits for before it takes work; empty when it does."""
        if not self._peers.in_contact:
            return "a majority"
        if not self._session:
            return "its session"
        return "" if self._welcome is not None else "the job supervisor"

    @property
    def supervisor(self) -> Welcome | None:
        """The job supervisor's introduction, once it is compared with the store."""
        return self._welcome

    def on_start(self) -> Iterator[Effect]:
        """Open the session; the feed is followed for its end."""
        yield from super().on_start() or ()
        yield from self._open() or ()

    def _open(self) -> Effects:
        """Put the keys that a boot writes, at the revision that this view knows."""
        if not self._peers.in_contact or self._leaving:
            return None  # the detector says when it is
        number, now_ms = self._incarnation, self.clock.now_ms()
        if session.is_superseded(self.view, self._node, number):
            raise JobdError(
                f"another process has taken the identity of node {self._node}",
                remedy="two processes run on copies of one data directory: stop one of them",
            )
        record = self._describe()
        txn = session.open_session(
            self.view, self._node, number, record.name, now_ms, record=record
        )
        self._is_opening = True
        submit = SubmitTxn(txn, opens_session=True)
        return [Ask(addresses.REPLICA, submit, _OpenSession(), timeout_s=None)]

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Take the session, or find out whose it is; go on with what is discarded."""
        match message.tag, message.value:
            case _OpenSession(), Committed(revision=revision):
                self._is_opening = False
                self._session = revision
                yield Tell(addresses.SUPERVISOR, Connect())
                yield from self._renew()  # the feed may have shown its end already
            case _OpenSession(), Conflict():
                self._is_opening = False
                yield from self._open() or ()
            case _Describe(), _:
                self._is_describing = False
            case _EndSession(), value:
                yield from self._left(isinstance(value, Committed))
            case _Late(held=held), Committed():
                yield _kept(_KeepLog(held.attempt))
            case _Late(held=held), _:
                yield self._discard(held, tells=True)
            case _, Archived(attempt=attempt):
                yield Tell(addresses.SUPERVISOR, Discard(attempt))

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Refused for now (the disk is full): again in a moment."""
        match message.tag:
            case _Describe():
                self._is_describing = False  # the detector's next tick looks again
                return None
            case _EndSession():
                return self._left(False)
        return [After(_RETRY_S, message.tag, key=message.tag)]

    @handles(_OpenSession)
    def open_again(self, message: _OpenSession, context: Context) -> Effects:
        """Try again."""
        self._is_opening = False
        return self._open()

    # -- the job supervisor

    @handles(SupervisorReady)
    def supervisor_ready(self, message: SupervisorReady, context: Context) -> Iterator[Effect]:
        """Discard what the store does not know, then let the scheduler claim (R4)."""
        if not self._session:
            return  # it comes again on the link of the next session
        is_first, self._welcome = self._welcome is None, message.welcome
        for held in message.held:
            entry = self.view.get(held.attempt)
            if entry is None or entry.noun.node != self._node:
                yield self._discard(held, tells=is_first)
        yield Tell(addresses.SCHEDULER, ClaimsAllowed(self._session, message.welcome.instance))

    def _discard(self, held: Held, *, tells: bool) -> Effect:
        """End or forget an attempt; the log of one that ended is kept first if its job is known.

        Its finish was durable before its slot had come to that; or the others had given it up, and
        its result is late (`tells`: later in its life each is held by a slot, which tells it).
        """
        job_id, _, _ = keys.attempt_parts(held.attempt)
        if held.exit is None or self.view.get(keys.job(job_id)) is None:
            return Tell(addresses.SUPERVISOR, Discard(held.attempt))
        txn = self._late_result(held) if tells else None
        if txn is None:
            return _kept(_KeepLog(held.attempt))
        return Ask(addresses.REPLICA, SubmitTxn(txn), _Late(held), timeout_s=None)

    def _late_result(self, held: Held) -> Txn | None:
        late, now_ms = late_ending(held.exit), self.clock.now_ms()
        if late is None:
            return None
        return job.superseded(self.view, held.attempt, late, node=self._node, now_ms=now_ms)

    @handles(_Late)
    def tell_late_result(self, message: _Late, context: Context) -> Effects:
        """Try again."""
        return [self._discard(message.held, tells=True)]

    @handles(_KeepLog)
    def keep_log(self, message: _KeepLog, context: Context) -> Effects:
        """Try again."""
        return [_kept(message)]

    # -- the session's end

    def rescan(self) -> Iterator[Effect]:
        """Look whether the session stands, and what operators want of the node."""
        yield from self._renew()
        yield from self._drain()

    def changed(self, change: Change) -> Effects:
        """Look whether the session stands, and what operators want of the node."""
        if change.key == self._key:
            return self._renew()
        return self._drain() if change.key == keys.node(self._node) else None

    def _renew(self) -> Iterator[Effect]:
        """A session that ended is replaced, incarnation durable first; attempts stand by fence."""
        entry = self.view.get(self._key)
        if not self._session or (entry is not None and entry.revision == self._session):
            return
        if self._leaving:
            return
        self._session = 0
        self._incarnation = self._next_incarnation()
        yield Tell(addresses.SCHEDULER, ClaimsForbidden())
        yield from self._open() or ()

    def decide(self) -> Effects:
        """Nothing else is decided here."""
        return None

    # -- what is wanted of the node

    def _drain(self) -> Iterator[Effect]:
        """Have the slots look: they end what is to end now, and again at the deadline."""
        entry = self.view.get(keys.node(self._node))
        if entry is None:
            return
        yield Tell(addresses.SCHEDULER, LookAtSlots())
        ahead_ms = entry.noun.drain_by_ms - self.clock.now_ms()
        if entry.noun.drain and ahead_ms > 0:
            # The wall clock may step: look again at least this often.
            yield After(min(ahead_ms / 1000, _LONGEST_TIMER_S), _DrainIsOver(), key="drain")

    @handles(_DrainIsOver)
    def drain_is_over(self, message: _DrainIsOver, context: Context) -> Effects:
        """What still runs is to end."""
        return self._drain()

    @handles(CutOff)
    def cut_off(self, message: CutOff, context: Context) -> Iterator[Effect]:
        """From the detector, at each of its ticks: the scheduler and the slots are told of changes.

        Cut off, a node starts nothing and ends what asks for it (`on_isolation: stop`).
        """
        if message.is_cut_off != self._is_cut_off:
            self._is_cut_off = message.is_cut_off
            yield Tell(addresses.SCHEDULER, message)
        if message.is_cut_off or self._is_opening:
            return
        if self._session:
            yield from self._put_record()
        else:
            yield from self._open() or ()

    def _put_record(self) -> Iterator[Effect]:
        """Put what the node says of itself, if that has changed: where it is reached, above all."""
        said, now_ms = self._describe(), self.clock.now_ms()
        txn = node_state.describe(self.view, self._node, said, now_ms=now_ms)
        if txn is not None and not self._is_describing:
            self._is_describing = True
            yield Ask(addresses.REPLICA, SubmitTxn(txn), _Describe(), timeout_s=None)

    # -- the end

    @handles(Leave)
    def leave(self, message: Leave, context: Context) -> Iterator[Effect]:
        """End the session, unless the node is alone, or attempts of it go on."""
        assert context.reply is not None, "Leave is an ask"
        self._leaving.append(context.reply)
        yield Tell(addresses.SCHEDULER, ClaimsForbidden())
        txn = session.end_session(self.view, self._node, "left", self.clock.now_ms())
        is_alone = self._peers.voters() == (self._node,)
        if txn is None or not self._session or is_alone or self._has_attempts():
            yield from self._left(False)
        else:
            yield Ask(addresses.REPLICA, SubmitTxn(txn), _EndSession(), timeout_s=None)

    def _has_attempts(self) -> bool:
        return any(e.noun.node == self._node for _, e in self.view.scan("attempt/"))

    def _left(self, has_left: bool) -> Iterator[Effect]:
        for reply in self._leaving:
            yield Reply(reply, has_left)


def _kept(message: _KeepLog) -> Ask:
    return Ask(addresses.RUN_LOG, Archive(message.attempt), message, timeout_s=None)
