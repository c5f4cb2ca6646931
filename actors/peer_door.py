"""The actor that other nodes read here: job logs, their growth, events that they no longer have.

Its messages are for nodes only. What it answers is this node's own; it never asks a third node, so
that nodes whose views differ for a moment don't send each other in circles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from actors import addresses, limits
from actors.core.ports import EventPage, LogPage
from actors.errors import InvalidInput
from actors.image_writer import ReadEvents
from actors.model.event import Event
from actors.run_log import ReadLog
from actors.runtime import (
    Answered,
    Ask,
    Context,
    Effects,
    Fail,
    Failed,
    LoopActor,
    Outlet,
    Reply,
    ReplyTo,
    StreamClosed,
    StreamCredit,
    Tell,
    handles,
)
from actors.wakeups import Unwatch, Watch

__all__ = [
    "PEER_TYPES",
    "ForgetPeerJob",
    "PeerDoor",
    "PeerEvents",
    "PeerLog",
    "ReadPeerEvents",
    "ReadPeerLog",
    "WatchPeerLog",
]

_ENCODER: Final = msgspec.msgpack.Encoder()


class ReadPeerLog(msgspec.Struct, frozen=True):
    """Answered with a PeerLog of this node's own attempt, or NotFound."""

    attempt: str
    from_seq: int
    limit: int
    stream: int | None = None


class PeerLog(msgspec.Struct, frozen=True):
    """A page of a job log; its bytes stay in the message, whatever their size (LOG_PAGE_BYTES)."""

    page: LogPage


class WatchPeerLog(msgspec.Struct, frozen=True):
    """Answered with a stream: an item whenever the log of this job may have grown here."""

    job_id: str


class ReadPeerEvents(msgspec.Struct, frozen=True):
    """Answered with PeerEvents above a place."""

    after: tuple[int, int]
    limit: int
    types: tuple[str, ...] = ()
    subject: str | None = None


class PeerEvents(msgspec.Struct, frozen=True):
    """Events in order, as many as fit; `more` says that the page was cut for its size."""

    events: tuple[Event, ...]
    gap: bool
    more: bool = False


class ForgetPeerJob(msgspec.Struct, frozen=True):
    """A job was deleted: so go its log, its artifacts and its history here. Told at most once."""

    job_id: str


PEER_TYPES: Final = (
    ForgetPeerJob,
    PeerEvents,
    PeerLog,
    ReadPeerEvents,
    ReadPeerLog,
    WatchPeerLog,
)


class _LogOf(msgspec.Struct, frozen=True):
    reply: ReplyTo


class _EventsOf(msgspec.Struct, frozen=True):
    reply: ReplyTo


class _Watching:
    """One reader of wake-ups; those that come while it has no room are one."""

    def __init__(self, job_id: str, outlet: Outlet) -> None:
        self.job_id = job_id
        self._outlet = outlet
        self._is_due = False

    def wake(self) -> None:
        """Tell it now, or as soon as it has room."""
        if self._outlet.has_room:
            self._outlet.item(True)
        else:
            self._is_due = True

    def has_room(self) -> None:
        """Tell it what it had no room for."""
        if self._is_due:
            self._is_due = False
            self.wake()


class PeerDoor(LoopActor):
    """One per node. `forget(job_id)` lets all go that this node keeps of a deleted job."""

    mailbox_limit = 10_000

    def __init__(self, forget: Callable[[str], object]) -> None:
        super().__init__()
        self._forget = forget
        self._watching: dict[Outlet, _Watching] = {}

    @handles(ReadPeerLog)
    def read_log(self, message: ReadPeerLog, context: Context) -> Effects:
        """Pass the question to whoever has the files."""
        assert context.reply is not None, "ReadPeerLog is an ask"
        asked = ReadLog(message.attempt, message.from_seq, message.limit, message.stream)
        return [Ask(addresses.RUN_LOG, asked, tag=_LogOf(context.reply))]

    @handles(WatchPeerLog)
    def watch(self, message: WatchPeerLog, context: Context) -> Effects:
        """Tell of every wake-up of a job until nobody reads any more."""
        outlet = context.reply
        if not isinstance(outlet, Outlet):
            return [Fail(outlet, InvalidInput("wake-ups are a stream"))] if outlet else None
        watching = self._watching[outlet] = _Watching(message.job_id, outlet)
        return [Tell(addresses.WAKEUPS, Watch(message.job_id, watching.wake))]

    @handles(StreamCredit)
    def credit(self, message: StreamCredit, context: Context) -> Effects:
        """Go on with a reader that has room again."""
        watching = self._watching.get(message.to)
        if watching is not None:
            watching.has_room()
        return None

    @handles(StreamClosed)
    def closed(self, message: StreamClosed, context: Context) -> Effects:
        """Wake a reader no more that is gone."""
        watching = self._watching.pop(message.to, None)
        if watching is None:
            return None
        return [Tell(addresses.WAKEUPS, Unwatch(watching.job_id, watching.wake))]

    @handles(ReadPeerEvents)
    def read_events(self, message: ReadPeerEvents, context: Context) -> Effects:
        """Pass the question to the event bus."""
        assert context.reply is not None, "ReadPeerEvents is an ask"
        asked = ReadEvents(message.after, message.limit, message.types, message.subject)
        return [Ask(addresses.EVENT_BUS, asked, tag=_EventsOf(context.reply))]

    @handles(ForgetPeerJob)
    def forget(self, message: ForgetPeerJob, context: Context) -> Effects:
        """Let a deleted job go."""
        self._forget(message.job_id)
        return None

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Effects:
        """Answer who asked, in a type of the wire."""
        tag = message.tag
        if isinstance(tag, _LogOf):
            return [Reply(tag.reply, PeerLog(message.value))]
        assert isinstance(tag, _EventsOf), "nothing else is asked for"
        return [Reply(tag.reply, _that_fit(message.value))]

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Pass the error on."""
        assert isinstance(message.tag, _LogOf | _EventsOf), "nothing else is asked for"
        return [Fail(message.tag.reply, message.error)]


def _that_fit(page: EventPage) -> PeerEvents:
    """Cut a page so that it can be sent: an event may have 64 KiB of data of its own."""
    room = limits.LOG_PAGE_BYTES
    for number, event in enumerate(page.events):
        room -= len(_ENCODER.encode(event))
        if room < 0 and number:
            return PeerEvents(page.events[:number], page.gap, True)
    return PeerEvents(page.events, page.gap)
