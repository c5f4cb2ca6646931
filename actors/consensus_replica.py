"""The replica: it submits to the group, applies what the group ordered, and nudges who follows.

All transactions of a node pass here. The replica stamps each with the node's session and a
sequence number, so that a repeat applies once, and answers after the record is durable and
applied. The image on disk is written behind, from the rows that changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from actors import addresses, limits
from actors.core.consensus.group import Apply, Group, Input, NotSynced, Submit, Synced
from actors.core.consensus.group import Effects as GroupEffects
from actors.core.ports import Row
from actors.core.store.state import State
from actors.core.store.txn import Committed, SessionRef, Txn
from actors.errors import ReadOnly
from actors.image_writer import ImageWritten, WriteImage
from actors.log_writer import Append
from actors.model.event import Event
from actors.runtime import (
    After,
    Context,
    Effect,
    Effects,
    Fail,
    LoopActor,
    Reply,
    ReplyTo,
    Tell,
    handles,
)

__all__ = [
    "Barrier",
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


class SubmitTxn(msgspec.Struct, frozen=True):
    """Order this transaction; answered with its Result, or failed with ReadOnly, Busy, TooLarge."""

    txn: Txn
    opens_session: bool = False
    grows: bool = False  # it takes on something new: refused while there is little room


class Subscribe(msgspec.Struct, frozen=True):
    """The sender wants a Nudge whenever something was committed."""


class Barrier(msgspec.Struct, frozen=True):
    """Answered once all that was submitted here before it is applied, or was refused."""


class Room(msgspec.Struct, frozen=True):
    """Whether the disk has room for something new."""

    system_lane: ClassVar[bool] = True
    there: bool


class Settle(msgspec.Struct, frozen=True):
    """Answered once the image has everything that is applied: a clean stop leaves no replay."""


class Nudge(msgspec.Struct, frozen=True):
    """The state moved on; take the changes after your cursor."""

    system_lane: ClassVar[bool] = True


class Published(msgspec.Struct, frozen=True):
    """Events of the last commits, in order, for the event bus."""

    system_lane: ClassVar[bool] = True
    events: tuple[Event, ...]


class _WriteImageNow(msgspec.Struct, frozen=True):
    pass


class ConsensusReplica(LoopActor):
    """Drives a group over the log and the state of one node."""

    mailbox_limit = 65_536  # the group's own queue is the bound that answers Busy

    def __init__(
        self,
        group: Group,
        state: State,
        *,
        node: str,
        applied_index: int,
        unwritten_rows: dict[str, Row],
        unwritten_events: list[Event],
    ) -> None:
        super().__init__()
        self._group = group
        self._state = state
        self._node = node
        self._session = 0
        self._ticket = 0
        self._waiting: dict[int, ReplyTo] = {}  # in order of ticket: tickets are answered in order
        self._barriers: deque[tuple[int, ReplyTo]] = deque()  # (last ticket before it, asker)
        self._opening: int | None = None
        self._early: list[tuple[SubmitTxn, Context]] = []  # submitted before there is a session
        self._subscribers: list[str] = []
        self._applied_index = applied_index
        self._dirty = unwritten_rows
        self._unwritten = unwritten_events
        self._writing: WriteImage | None = None
        self._write_is_due = False
        self._settling: list[ReplyTo] = []
        self._full_since: float | None = None
        self._has_room = True

    @property
    def read_only(self) -> str | None:
        """Why writes are refused: the disk refused the last one, or has too little room left."""
        if self._full_since is not None:
            return "the disk is full"
        if self._has_room:
            return None
        return f"{limits.DISK_PERCENT} % of the disk's space or more is in use"

    def on_start(self) -> Effects:
        """Write what the replay of the log brought, if anything."""
        return self._image_soon()

    # -- submitting

    @handles(SubmitTxn)
    def submit(self, message: SubmitTxn, context: Context) -> Iterator[Effect]:
        """Stamp and order a transaction."""
        assert context.reply is not None, "SubmitTxn is an ask"
        if self._session == 0 and not message.opens_session:
            self._early.append((message, context))
            return
        little_room = message.grows and not self._has_room
        if little_room or (self._full_since is not None and not self._may_probe()):
            full = ReadOnly(f"{self.read_only}: the node is read-only", remedy="free some space")
            yield Fail(context.reply, full)
            return
        self._ticket += 1
        ticket = self._ticket
        number = 0 if message.opens_session else self._session
        lowest = next(iter(self._waiting), ticket)
        txn = msgspec.structs.replace(
            message.txn, session=SessionRef(self._node, number, ticket, lowest)
        )
        self._waiting[ticket] = context.reply
        if message.opens_session:
            self._opening = ticket
        yield from self._step(Submit(ticket, txn))

    def _may_probe(self) -> bool:
        """While the disk is full, let one transaction through each second to see if it still is."""
        now = self.clock.monotonic_s()
        assert self._full_since is not None
        if now - self._full_since < _RETRY_S:
            return False
        self._full_since = now
        return True

    @handles(Room)
    def room(self, message: Room, context: Context) -> Effects:
        """Take on something new, or no more."""
        self._has_room = message.there
        return None

    # -- what the log says

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

    def _step(self, event: Input) -> Iterator[Effect]:
        effects: GroupEffects = self._group.step(event)
        if effects.append:
            yield Tell(addresses.LOG, Append(effects.append))
        for batch in effects.apply:
            yield from self._apply(batch)
        for ticket, error in effects.refuse:
            yield Fail(self._waiting.pop(ticket), error)
        yield from self._pass_barriers()

    @handles(Barrier)
    def barrier(self, message: Barrier, context: Context) -> Effects:
        """Answer a linearizable read: what is acknowledged is applied, so only wait it out."""
        assert context.reply is not None, "Barrier is an ask"
        self._barriers.append((self._ticket, context.reply))
        return self._pass_barriers()

    def _pass_barriers(self) -> Iterator[Effect]:
        oldest = next(iter(self._waiting), self._ticket + 1)
        while self._barriers and self._barriers[0][0] < oldest:
            yield Reply(self._barriers.popleft()[1])

    def _apply(self, batch: Apply) -> Iterator[Effect]:
        state = self._state
        before, opened = state.revision, 0
        for ticket, txn in zip(batch.tickets, batch.txns, strict=True):
            result = state.apply(txn)
            if isinstance(result, Committed):
                revision = result.revision
                for key, value in txn.ops:
                    self._dirty[key] = Row(key, revision, value)
                if ticket == self._opening:
                    opened = self._session = result.revision
                    self._opening = None
            yield Reply(self._waiting.pop(ticket), result)
        self._applied_index = batch.index
        if opened:
            early, self._early = self._early, []
            for message, context in early:
                yield from self.submit(message, context)
        if state.revision == before:
            return
        events = state.take_events()
        if events:
            self._unwritten.extend(events)
            yield Tell(addresses.EVENT_BUS, Published(tuple(events)))
        for subscriber in self._subscribers:
            yield Tell(subscriber, Nudge())
        yield from self._image_soon()

    @handles(Subscribe)
    def subscribe(self, message: Subscribe, context: Context) -> Effects:
        """Add a follower; a restarted one subscribes again."""
        assert context.sender is not None, "a subscriber is an actor"
        if context.sender not in self._subscribers:
            self._subscribers.append(context.sender)
        return [Tell(context.sender, Nudge())]

    # -- the image, written behind

    def _image_soon(self) -> Iterator[Effect]:
        # Armed once: commits that come faster than the timer must not put it off for ever.
        if not self._write_is_due and self._writing is None and (self._dirty or self._unwritten):
            self._write_is_due = True
            yield After(_IMAGE_EVERY_S, _WriteImageNow(), key="image")

    @handles(_WriteImageNow)
    def write_image(self, message: _WriteImageNow, context: Context) -> Effects:
        """Hand the changed rows to the image writer; one hand-over at a time."""
        self._write_is_due = False
        if self._writing is not None:
            return None
        self._writing = WriteImage(
            rows=tuple(self._dirty.values()),
            events=tuple(self._unwritten),
            applied_index=self._applied_index,
            revision=self._state.revision,
            sessions=self._state.sessions.dump(),
        )
        self._dirty, self._unwritten = {}, []
        return [Tell(addresses.IMAGE, self._writing)]

    @handles(Settle)
    def settle(self, message: Settle, context: Context) -> Iterator[Effect]:
        """Answer when nothing is left to write."""
        assert context.reply is not None, "Settle is an ask"
        self._settling.append(context.reply)
        yield from self._settled()

    def _settled(self) -> Iterator[Effect]:
        if self._settling and self._writing is None:
            if self._dirty or self._unwritten:
                yield Tell(self.address, _WriteImageNow())
                return
            waiting, self._settling = self._settling, []
            for reply in waiting:
                yield Reply(reply)

    @handles(ImageWritten)
    def image_written(self, message: ImageWritten, context: Context) -> Iterator[Effect]:
        """Go on with what changed meanwhile; take the rows back when there was no room."""
        written, self._writing = self._writing, None
        if message.error is None or written is None:
            yield from self._settled()
            yield from self._image_soon()
            return
        self._dirty = {row.key: row for row in written.rows} | self._dirty
        self._unwritten = [*written.events, *self._unwritten]
        self._write_is_due = True
        yield After(_RETRY_S, _WriteImageNow(), key="image")
