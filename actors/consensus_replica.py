"""The replica: it submits to the group, applies what the group ordered, and nudges who follows.

All transactions of a node pass here. The replica stamps each with the node's session and a
sequence number, so that a repeat applies once, and answers after the record is durable and
applied. The image on disk is written behind, from the rows that changed. Replicas of other nodes
send packets; a node without a vote has what it submits ordered by one that has (`Forward`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from actors import addresses, limits
from actors.core.consensus.group import (
    Alive,
    Apply,
    Group,
    GroupStatus,
    Imaged,
    Input,
    NotSynced,
    Read,
    Receive,
    Reconfigure,
    Submit,
    Synced,
    Tick,
)
from actors.core.consensus.messages import Packet
from actors.core.store.state import State
from actors.core.store.subscribers import Subscribers
from actors.core.store.txn import Committed, Result, SessionRef
from actors.errors import ReadOnly
from actors.forwarding import Forward, ForwardAgain, Forwarded, Forwarding, Judged, at_node
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWritten
from actors.log_writer import Append
from actors.model import keys
from actors.model.epoch import Epoch
from actors.replica_messages import (
    Barrier,
    ChangeEpoch,
    Nudge,
    Published,
    Room,
    Settle,
    SubmitTxn,
    Subscribe,
)
from actors.runtime import (
    After,
    Answered,
    Context,
    Effect,
    Effects,
    Fail,
    Failed,
    LoopActor,
    Reply,
    ReplyTo,
    Tell,
    handles,
)
from actors.runtime.address import node_of

__all__ = [
    "Barrier",
    "ChangeEpoch",
    "ConsensusReplica",
    "Nudge",
    "Published",
    "Room",
    "Settle",
    "SubmitTxn",
    "Subscribe",
]

_IMAGE_EVERY_S: Final = 0.1
_RETRY_S: Final = 1.0


class _WriteImageNow(msgspec.Struct, frozen=True):
    pass


class _Waiter(msgspec.Struct, frozen=True):
    """Who waits for a ticket; `is_remote`: another node, which is also told the revision."""

    reply: ReplyTo
    is_remote: bool = False


class ConsensusReplica(LoopActor):
    """Drives a group over the log and the state of one node.

    `is_linked(node)` says whether a message would reach a node now. `fetch_snapshot(donor, index)`
    has the state brought from there. `on_epoch(epoch)` is told when one begins.
    """

    mailbox_limit = 65_536  # the group's own queue is the bound that answers Busy

    def __init__(
        self,
        group: Group,
        state: State,
        *,
        node: str,
        backlog: ImageBacklog,
        is_linked: Callable[[str], bool] = lambda _: False,
        fetch_snapshot: Callable[[str, int], object] = lambda _donor, _executed: None,
        on_epoch: Callable[[Epoch], object] = lambda _: None,
    ) -> None:
        super().__init__()
        self._group = group
        self._state = state
        self._node = node
        self._is_linked = is_linked
        self._fetch_snapshot = fetch_snapshot
        self._on_epoch = on_epoch
        self._session = 0
        self._ticket = 0
        self._waiting: dict[int, _Waiter] = {}  # in order of ticket
        self._opening: int | None = None
        self._early: list[tuple[SubmitTxn, Context]] = []  # submitted before there is a session
        self._forwarding = Forwarding()
        self._subscribers = Subscribers()
        self._backlog = backlog
        self._write_is_due = False
        self._settling: list[ReplyTo] = []
        self._full_since: float | None = None
        self._has_room = True
        self._tick_ms = 0  # how soon the armed tick comes, 0 while none is armed

    @property
    def read_only(self) -> str | None:
        """Why writes are refused: the disk refused the last one, or has too little room left."""
        if self._full_since is not None:
            return "the disk is full"
        if self._has_room:
            return None
        return f"{limits.DISK_PERCENT} % of the disk's space or more is in use"

    def group_status(self) -> GroupStatus:
        """Return what consensus says of itself."""
        return self._group.status(self._now_ms())

    def on_start(self) -> Iterator[Effect]:
        """Write what the replay of the log brought, if anything, and say hello to the others."""
        yield from self._image_soon()
        yield from self._step(Tick())

    def _now_ms(self) -> int:
        return int(self.clock.monotonic_s() * 1000)

    # -- submitting

    @handles(SubmitTxn)
    def submit(self, message: SubmitTxn, context: Context) -> Iterator[Effect]:
        """Stamp and order a transaction."""
        assert context.reply is not None, "SubmitTxn is an ask"
        if self._session == 0 and not message.opens_session:
            self._early.append((message, context))
            return
        if self._refuses(grows=message.grows):
            yield Fail(context.reply, self._full())
            return
        ticket = self._wait(context.reply)
        number = 0 if message.opens_session else self._session
        ref = SessionRef(self._node, number, ticket, done_below=next(iter(self._waiting)))
        txn = msgspec.structs.replace(message.txn, session=ref)
        if message.opens_session:
            self._opening = ticket
        yield from self._step(Submit(ticket, txn))

    def _wait(self, reply: ReplyTo, *, is_remote: bool = False) -> int:
        self._ticket += 1
        self._waiting[self._ticket] = _Waiter(reply, is_remote)
        return self._ticket

    def _refuses(self, *, grows: bool) -> bool:
        little_room = grows and not self._has_room
        return little_room or (self._full_since is not None and not self._may_probe())

    def _full(self) -> ReadOnly:
        return ReadOnly(f"{self.read_only}: the node is read-only", remedy="free some space")

    def _may_probe(self) -> bool:
        """While the disk is full, let one transaction through each second to see if it still is."""
        now = self.clock.monotonic_s()
        assert self._full_since is not None
        if now - self._full_since < _RETRY_S:
            return False
        self._full_since = now
        return True

    @handles(ChangeEpoch)
    def change_epoch(self, message: ChangeEpoch, context: Context) -> Iterator[Effect]:
        """Order a change of membership."""
        assert context.reply is not None, "ChangeEpoch is an ask"
        ticket = self._wait(context.reply)
        yield from self._step(Reconfigure(ticket, message.txn, message.epoch))

    @handles(Barrier)
    def barrier(self, message: Barrier, context: Context) -> Iterator[Effect]:
        """Begin a linearizable read."""
        assert context.reply is not None, "Barrier is an ask"
        yield from self._step(Read(self._wait(context.reply)))

    @handles(Room)
    def room(self, message: Room, context: Context) -> Effects:
        """Take on something new, or no more."""
        self._has_room = message.there
        return None

    # -- other nodes

    @handles(Packet)
    def packet(self, message: Packet, context: Context) -> Iterator[Effect]:
        """Take what another replica says."""
        sender = node_of(context.sender or "")
        if sender:
            yield from self._step(Receive(sender, message))

    @handles(Forward)
    def forward(self, message: Forward, context: Context) -> Iterator[Effect]:
        """Order what a node without a vote submits, or vouch for its read."""
        assert context.reply is not None, "Forward is an ask"
        if message.txn is not None and self._refuses(grows=False):
            yield Fail(context.reply, self._full())
            return
        ticket = self._wait(context.reply, is_remote=True)
        yield from self._step(Read(ticket) if message.txn is None else Submit(ticket, message.txn))

    def _voters(self) -> list[str]:
        return [node for node in self._group.epoch.nodes if self._is_linked(node)]

    @handles(Answered)
    def judged(self, message: Answered, context: Context) -> Iterator[Effect]:
        """A voter has judged what was forwarded."""
        assert isinstance(message.tag, Forwarded), "only that is asked here"
        self._forwarding.judged(message.tag.ticket, message.value)
        yield from self._pass_on()

    @handles(Failed)
    def not_judged(self, message: Failed, context: Context) -> Effects:
        """A voter was silent or refused for now."""
        assert isinstance(message.tag, Forwarded), "only that is asked here"
        return [self._forwarding.later(message.tag.ticket)]

    @handles(ForwardAgain)
    def forward_again(self, message: ForwardAgain, context: Context) -> Effects:
        """Try the next voter."""
        return self._forwarding.again(message.ticket, self._voters())

    def _pass_on(self) -> Iterator[Effect]:
        for ticket, result in self._forwarding.shown(self._state.revision):
            yield from self._answer(ticket, result)

    # -- what the log, the detector and the clock say

    @handles(Synced)
    def synced(self, message: Synced, context: Context) -> Effects:
        """A record is durable."""
        self._full_since = None
        return self._step(message)

    @handles(NotSynced)
    def not_synced(self, message: NotSynced, context: Context) -> Effects:
        """The disk is full; nothing was written, the group refuses what waits."""
        self._full_since = self.clock.monotonic_s()
        return self._step(message)

    @handles(Alive, Imaged)
    def told(self, message: Alive | Imaged, context: Context) -> Effects:
        """Take a hint about the others, or how far the image is."""
        return self._step(message)

    @handles(Tick)
    def tick(self, message: Tick, context: Context) -> Effects:
        """Some time has passed."""
        self._tick_ms = 0
        return self._step(message)

    def _step(self, event: Input) -> Iterator[Effect]:
        effects = self._group.step(event, self._now_ms())
        if effects.append:
            yield Tell(addresses.LOG, Append(effects.append))
        for to, packet in effects.send:
            if self._is_linked(to):
                yield Tell(at_node(to, addresses.REPLICA), packet)
        for batch in effects.apply:
            yield from self._apply(batch)
        for ticket, error in effects.refuse:
            yield Fail(self._waiting.pop(ticket).reply, error)
        for ticket in effects.ready:
            yield from self._answer(ticket, None)
        for forwarded in effects.forward:
            yield from self._forwarding.begin(forwarded, self._voters())
        if effects.behind is not None:
            self._fetch_snapshot(*effects.behind)
        tick_ms = self._group.tick_ms
        if tick_ms and (not self._tick_ms or tick_ms < self._tick_ms):
            self._tick_ms = tick_ms
            yield After(tick_ms / 1000, Tick(), key="tick")

    # -- applying

    def _apply(self, batch: Apply) -> Iterator[Effect]:
        state = self._state
        before, kinds = state.revision, set[str]()
        for ticket, txn in zip(batch.tickets, batch.txns, strict=True):
            last = state.revision
            result = state.apply(txn)
            if state.revision > last:  # a repeat is answered as before, and changes nothing now
                self._backlog.changed(txn.ops, state.revision)
                kinds.update([keys.kind(key) for key, _ in txn.ops])
            if ticket:
                yield from self._answer(ticket, result)
        if batch.epoch is not None:
            self._on_epoch(batch.epoch)
        self._backlog.executed()
        if state.revision == before:
            yield from self._image_soon()
            return
        events = state.take_events()
        if events:
            self._backlog.emitted(events)
            yield Tell(addresses.EVENT_BUS, Published(tuple(events)))
        for subscriber in self._subscribers.concerned(kinds, state.revision):
            yield Tell(subscriber, Nudge())
        yield from self._pass_on()
        yield from self._image_soon()

    def _answer(self, ticket: int, result: Result | None) -> Iterator[Effect]:
        waiter = self._waiting.pop(ticket)
        if waiter.is_remote:
            yield Reply(waiter.reply, Judged(result, self._state.revision))
            return
        yield Reply(waiter.reply, result)
        if ticket == self._opening and isinstance(result, Committed):
            self._session = result.revision
            self._opening = None
            early, self._early = self._early, []
            for message, context in early:
                yield from self.submit(message, context)

    @handles(Subscribe)
    def subscribe(self, message: Subscribe, context: Context) -> Effects:
        """Add a follower; a restarted one subscribes again."""
        assert context.sender is not None, "a subscriber is an actor"
        self._subscribers.add(context.sender, message.kinds, self._state.revision)
        return [Tell(context.sender, Nudge())]

    # -- the image, written behind

    def _image_soon(self) -> Iterator[Effect]:
        # Armed once: commits that come faster than the timer must not put it off for ever.
        if not self._write_is_due and not self._backlog.is_writing and self._backlog:
            self._write_is_due = True
            yield After(_IMAGE_EVERY_S, _WriteImageNow(), key="image")

    @handles(_WriteImageNow)
    def write_image(self, message: _WriteImageNow, context: Context) -> Effects:
        """Hand the changed rows to the image writer; one hand-over at a time."""
        self._write_is_due = False
        if self._backlog.is_writing:
            return None
        return [Tell(addresses.IMAGE, self._backlog.hand_over(self._state, self._group))]

    @handles(Settle)
    def settle(self, message: Settle, context: Context) -> Iterator[Effect]:
        """Answer when nothing is left to write."""
        assert context.reply is not None, "Settle is an ask"
        self._settling.append(context.reply)
        yield from self._settled()

    def _settled(self) -> Iterator[Effect]:
        if self._settling and not self._backlog.is_writing:
            if self._backlog:
                yield Tell(self.address, _WriteImageNow())
                return
            waiting, self._settling = self._settling, []
            for reply in waiting:
                yield Reply(reply)

    @handles(ImageWritten)
    def image_written(self, message: ImageWritten, context: Context) -> Iterator[Effect]:
        """Go on with what changed meanwhile; take the rows back when there was no room."""
        if message.error is None:
            self._backlog.written()
            yield from self._settled()
            yield from self._image_soon()
            return
        self._backlog.take_back()
        self._write_is_due = True
        yield After(_RETRY_S, _WriteImageNow(), key="image")
