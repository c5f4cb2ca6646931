"""The event bus: the last events in memory for who listens, older ones from the event log.

A listener holds its place, (revision, k), and reads on from it; a wake-up only says that there is
more. So a slow listener loses nothing but what retention drops, and that is said as a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec

from actors import addresses
from actors.consensus_replica import Published
from actors.core.ports import EventPage
from actors.image_writer import EventsWritten, ReadEvents
from actors.model.event import Event, matches
from actors.runtime import (
    Answered,
    Ask,
    Context,
    Effects,
    Fail,
    Failed,
    LoopActor,
    Reply,
    ReplyTo,
    Tell,
    handles,
)

__all__ = ["EventBus", "EventsCame", "FollowEvents"]

_RECENT: Final = 8_192


class FollowEvents(msgspec.Struct, frozen=True):
    """The sender wants an EventsCame whenever events were published."""


class EventsCame(msgspec.Struct, frozen=True):
    """There are more events; reading says which."""

    system_lane: ClassVar[bool] = True


class EventBus(LoopActor):
    """One per node; answers `ReadEvents` from memory where it can."""

    mailbox_limit = 100_000

    def __init__(
        self, on_disk: int, unwritten: list[Event], *, observe: Callable[[Event], None]
    ) -> None:
        super().__init__()
        self._observe = observe
        self._recent: deque[Event] = deque(unwritten)
        self._on_disk = on_disk  # the revision up to which the event log has everything
        # Everything above this place is in `_recent`, everything up to it on disk.
        self._floor: tuple[int, int] = (on_disk, 1 << 30)
        self._head = unwritten[-1].place if unwritten else self._floor  # all up to it was published
        self._followers: dict[str, None] = {}

    @handles(Published)
    def published(self, message: Published, context: Context) -> Effects:
        """Take the events of new commits, and wake who follows."""
        for event in message.events:
            self._recent.append(event)
            self._observe(event)
        self._head = message.events[-1].place
        self._drop()
        return [Tell(follower, EventsCame()) for follower in self._followers]

    @handles(FollowEvents)
    def follow(self, message: FollowEvents, context: Context) -> Effects:
        """Wake the sender whenever there are more: the view may be ahead of what is here."""
        if context.sender is not None:
            self._followers[context.sender] = None
        return None

    @handles(EventsWritten)
    def written(self, message: EventsWritten, context: Context) -> Effects:
        """Let go what the disk has."""
        self._on_disk = message.revision
        self._drop()
        return None

    def _drop(self) -> None:
        """Keep the last _RECENT, and before them what is nowhere else yet."""
        while len(self._recent) > _RECENT and self._recent[0].revision <= self._on_disk:
            oldest = self._recent.popleft()
            self._floor = (oldest.revision, oldest.k)

    @handles(ReadEvents)
    def read(self, message: ReadEvents, context: Context) -> Effects:
        """Answer from memory, or pass the question to the event log on disk."""
        assert context.reply is not None, "ReadEvents is an ask"
        if message.after < self._floor:
            return [Ask(addresses.IMAGE, message, tag=_Older(context.reply, message))]
        page = EventPage(tuple(self._matching(message)), gap=False, upto=self._head)
        return [Reply(context.reply, page)]

    def _matching(self, query: ReadEvents) -> list[Event]:
        found: list[Event] = []
        for event in self._newer(query.after):
            if matches(event, query.types, query.subject):
                found.append(event)
                if len(found) == query.limit:
                    break
        return found

    def _newer(self, after: tuple[int, int]) -> list[Event]:
        newer: list[Event] = []
        for event in reversed(self._recent):
            if (event.revision, event.k) <= after:
                break
            newer.append(event)
        newer.reverse()
        return newer

    @handles(Answered)
    def older(self, message: Answered, context: Context) -> Effects:
        """Join what the disk has with what it does not have yet (it is written behind)."""
        older = message.tag
        assert isinstance(older, _Older), "the bus asks for older events only"
        page: EventPage = message.value
        events = list(page.events)
        room = older.query.limit - len(events)
        if room > 0:
            after = (events[-1].revision, events[-1].k) if events else older.query.after
            rest = msgspec.structs.replace(older.query, after=max(after, self._floor), limit=room)
            events.extend(self._matching(rest))
        return [Reply(older.reply, EventPage(tuple(events), page.gap, self._head))]

    @handles(Failed)
    def unreadable(self, message: Failed, context: Context) -> Effects:
        """The event log could not be read."""
        assert isinstance(message.tag, _Older), "the bus asks for older events only"
        return [Fail(message.tag.reply, message.error)]


class _Older(msgspec.Struct, frozen=True):
    reply: ReplyTo
    query: ReadEvents
