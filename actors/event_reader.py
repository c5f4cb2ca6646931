"""What actors have in common that act upon events: they read the bus and decide in their turn.

Rules of this file:
V0  What the bus has published is what there is to read: the view may be ahead of it.
V1  All nodes read and find the same; the home of a record decides at once, the others when the feed
    has shown nothing of it in their time (`actors/core/homes.py`). The store arbitrates.
V2  The place in a record is the truth; what was read beyond it is notes, made anew after a crash.
V3  What this node's event log has dropped is read from another node; what no node has is a gap.
V4  Where nothing matched for long the place is moved all the same, ahead of retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec

from actors import addresses
from actors.core.due import DueIndex
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.ports import EventPage
from actors.core.store.txn import Txn
from actors.core.trigger import mark, miss
from actors.core.trigger.watching import LAST, Watching
from actors.core.view import Change, View
from actors.event_bus import EventsCame, FollowEvents
from actors.image_writer import ReadEvents
from actors.model.event import Event, Place
from actors.peer_door import PeerEvents, ReadPeerEvents
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    Tell,
    handles,
)
from actors.runtime.address import SCHEME
from actors.store_actor import Decided, StoreActor

__all__ = ["EventReader"]

_PAGE: Final = 128
_AGAIN_S: Final = 1.0
_PEER_S: Final = 5.0
_BYSTANDER_MS: Final = 30_000
_LONGEST_TIMER_S: Final = 60.0
_RECONCILE_S: Final = 30.0
_MARK_REVISIONS: Final = 10_000
_MARK_MS: Final = 3_600_000
_MARK_EVERY_MS: Final = 5_000


class _Look(msgspec.Struct, frozen=True):
    """The tag of a question for events: for which records, from which place."""

    asked: dict[str, Place]
    after: Place
    types: tuple[str, ...]
    others: tuple[str, ...] = ()  # nodes that may be asked yet
    at: str = ""  # the node that is asked; "" is this one
    floor: Place = (0, 0)  # below it events are gone at the nodes that were asked


class _Tick(msgspec.Struct, frozen=True):
    pass


class _ReadAgain(msgspec.Struct, frozen=True):
    pass


class _Reconcile(msgspec.Struct, frozen=True):
    pass


class EventReader(StoreActor):
    """One per node and concern. Subclasses say which records wait for events, and what then."""

    kinds: ClassVar[tuple[str, ...]]  # prefixes of keys
    grows = True

    def __init__(self, view: View, peers: Peers) -> None:
        super().__init__(view)
        self._peers = peers
        self._homes = Homes(view, peers)
        self._reckoned = (self._homes.up, peers.keeps_time)
        self._watching = Watching()
        self._left_to_others = DueIndex()
        self._marked_ms: dict[str, int] = {}  # when a record's place was last seen to move
        self._last_mark_ms = 0
        self._is_reading = False
        self._is_due = True  # there may be something to read
        self.repairs = 0

    # -- for subclasses

    def watches(self, key: str, noun: Any) -> bool:
        """Say whether a record waits for events."""
        raise NotImplementedError

    def wants(self, key: str, record: Any, event: Event) -> bool:
        """Say whether it waits for this one."""
        raise NotImplementedError

    def act(self, key: str, matched: list[Event], upto: Place, now_ms: int) -> Txn | None:
        """Return what is to be done for the first of these events, None when nothing can be now."""
        raise NotImplementedError

    # -- the feed

    def on_start(self) -> Iterator[Effect]:
        """Take the records in, then follow the feed."""
        yield Tell(addresses.EVENT_BUS, FollowEvents())
        yield from super().on_start()
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")

    def rescan(self) -> Effects:
        """Take all records in anew."""
        self._watching = Watching()
        self._left_to_others = DueIndex()
        for kind in self.kinds:
            for key, _ in self.view.scan(kind):
                self._take(key)
        return None

    def changed(self, change: Change) -> Effects:
        """Take a record in that has changed."""
        if change.key.startswith(self.kinds):
            self._take(change.key)
        return None

    def _take(self, key: str) -> None:
        self._left_to_others.set(key, None)
        self._is_due = True
        entry = self.view.get(key)
        if entry is None or not self.watches(key, entry.noun):
            self._watching.discard(key)
            self._marked_ms.pop(key, None)
            return
        self._watching.put(key, entry.noun)
        self._marked_ms[key] = self.clock.now_ms()

    # -- deciding

    def decide(self) -> Iterator[Effect]:
        """Act for what was found, then read on."""
        now_ms = self.clock.now_ms()
        if (self._homes.up, self._peers.keeps_time) != self._reckoned:
            self._reckoned = (self._homes.up, self._peers.keeps_time)
            self._left_to_others = DueIndex()
        for key in list(self._watching.matched):
            yield from self._act_or_leave(key, now_ms)
        for key in self._left_to_others.pop(now_ms):
            if self._wait_ms(key) < _BYSTANDER_MS:
                yield from self._act(key, now_ms)
        yield from self._mark(now_ms)
        yield from self._read()
        next_ms = self._left_to_others.next_ms
        if next_ms is not None:
            pause_s = min(max(next_ms - now_ms, 1) / 1000, _LONGEST_TIMER_S)
            yield After(pause_s, _Tick(), key="turn")

    def _act_or_leave(self, key: str, now_ms: int) -> Iterator[Effect]:
        """Decide as the home; else give the nodes before this one the time to."""
        wait_ms = self._wait_ms(key)
        if not wait_ms:
            yield from self._act(key, now_ms)
        elif self._left_to_others.get(key) is None:
            self._left_to_others.set(key, now_ms + wait_ms)

    def _act(self, key: str, now_ms: int) -> Iterator[Effect]:
        matched = self._watching.matched.get(key)
        if matched and not self.undecided(key):
            yield from self.submit(key, self.act(key, matched, self._watching.place(key), now_ms))

    def _wait_ms(self, key: str) -> int:
        wait_ms = self._homes.wait_ms(key)
        return wait_ms if wait_ms is not None and self._peers.keeps_time else _BYSTANDER_MS

    def is_home(self, key: str) -> bool:
        """Say whether this node decides first for a record."""
        return self._wait_ms(key) == 0

    @handles(_Tick)
    def tick(self, message: _Tick, context: Context) -> Effects:
        """Some time has passed."""
        return self.decide()

    def _mark(self, now_ms: int) -> Iterator[Effect]:
        """Move places over what matched nothing, when that has been much, or long (V4)."""
        if now_ms - self._last_mark_ms < _MARK_EVERY_MS:
            return
        self._last_mark_ms, revision = now_ms, self.view.revision
        for key, seen_ms in self._marked_ms.items():
            place = self._watching.place(key)
            far = place[0] - self._after(key)[0] > _MARK_REVISIONS
            late = now_ms - seen_ms > _MARK_MS and revision > self._after(key)[0]
            if (far or late) and key not in self._watching.matched and self.is_home(key):
                yield from self.submit(key, mark(self.view, key, place, now_ms))

    def _after(self, key: str) -> Place:
        entry = self.view.get(key)
        place: Place = entry.noun.after if entry is not None else (self.view.revision, LAST)
        return place

    # -- reading

    def _read(self) -> Iterator[Effect]:
        if self._is_reading or not self._is_due or not len(self._watching):
            return
        asked = {
            key: place for key, place in self._watching.behind().items() if not self.undecided(key)
        }
        if not asked:
            return
        self._is_reading, self._is_due = True, False
        after, types = min(asked.values()), self._watching.types(asked)
        others = tuple(sorted(self._peers.alive() - {self._peers.node}))
        tag = _Look(asked, after, types, others)
        yield Ask(addresses.EVENT_BUS, ReadEvents(after, _PAGE, types), tag)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Look at the events, or take the answer of a transaction."""
        if not isinstance(message.tag, _Look):
            self._is_due = True
            yield from super().answered(message, context)
            return
        look: _Look = message.tag
        page: EventPage | PeerEvents = message.value
        if page.gap:
            floor = _floor(page, look)
            known = min(floor, look.floor) if look.at else floor
            yield from self._elsewhere(msgspec.structs.replace(look, floor=known))
            return
        self._is_reading = False
        self._is_due |= len(page.events) == _PAGE or look.at != ""
        self._watching.look(look.asked, page.events, _upto(page, look), self.wants)
        yield from self.decide()

    def _elsewhere(self, look: _Look) -> Iterator[Effect]:
        """Ask the next node for what this one has dropped; after the last one, it is a gap (V3)."""
        if look.others:
            node, *others = look.others
            tag = msgspec.structs.replace(look, others=tuple(others), at=node)
            asked = ReadPeerEvents(look.after, _PAGE, look.types)
            place = f"{SCHEME}{node}{addresses.PEER_DOOR}"
            yield Ask(place, asked, tag, timeout_s=_PEER_S)
            return
        self._is_reading, self._is_due = False, True
        now_ms = self.clock.now_ms()
        for key, behind in look.asked.items():
            if behind == look.after and key in self._watching:
                self._watching.skip(key, look.floor)
                if self.is_home(key):
                    yield from self.submit(key, miss(self.view, key, look.floor, now_ms))
        yield from self.decide()

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """A transaction was refused, or events could not be read: again in a moment."""
        if isinstance(message.tag, Decided):
            self._is_due = True
            return super().failed(message, context)
        assert isinstance(message.tag, _Look), "it asks for events only"
        if message.tag.at:
            return self._elsewhere(message.tag)
        return [After(_AGAIN_S, _ReadAgain(), key="read again")]

    @handles(_ReadAgain)
    def read_again(self, message: _ReadAgain, context: Context) -> Effects:
        """Ask once more."""
        self._is_reading, self._is_due = False, True
        return self.decide()

    @handles(EventsCame)
    def events_came(self, message: EventsCame, context: Context) -> Effects:
        """Read on."""
        self._is_due = True
        return self.decide()

    # -- reconcile

    @handles(_Reconcile)
    def reconcile(self, message: _Reconcile, context: Context) -> Iterator[Effect]:
        """Walk the records: one that waits and is not known was missed."""
        for kind in self.kinds:
            for key, entry in self.view.scan(kind):
                if self.watches(key, entry.noun) and key not in self._watching:
                    self.repairs += 1
                    self._take(key)
        self._is_due = True
        yield Tell(addresses.EVENT_BUS, FollowEvents())  # it may be another one since
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
        yield from self.decide()


def _floor(page: EventPage | PeerEvents, look: _Look) -> Place:
    """Return the place behind which a page with a gap has all there is."""
    if not page.events:
        return page.upto if isinstance(page, EventPage) else look.floor
    first = page.events[0]
    return (first.revision, first.k - 1) if first.k else (first.revision - 1, LAST)


def _upto(page: EventPage | PeerEvents, look: _Look) -> Place:
    """Return how far a page has everything. Another node may be behind this one."""
    if look.at:
        return page.events[-1].place if page.events else max(look.floor, look.after)
    assert isinstance(page, EventPage), "the bus answers"
    return page.events[-1].place if len(page.events) == _PAGE else max(page.upto, look.after)
