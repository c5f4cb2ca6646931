"""Which records wait for which events, and how far each was looked at: the reader's own notes.

Rules of this file:
W1  A record's place only moves over events that were looked at for it. Defined anew, it is looked
    at anew from the place in its record.
W2  Found events are kept until the record has passed them; at MATCHED the reading for it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from actors.model.event import Event, Place
from actors.model.trigger import EventSource

__all__ = ["LAST", "Watching"]

LAST: Final = 1 << 30  # above every k of a revision
_MATCHED: Final = 256
_GLOB: Final = frozenset("*?[")
_TYPES: Final = 16  # of a look at the bus; with more it gives all events

Wants = Callable[[str, Any, Event], bool]


class Watching:
    """The records of a reader by key, with their places and what was found for each."""

    def __init__(self) -> None:
        self._sources: dict[str, EventSource] = {}
        self._records: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self._exact: dict[str, list[str]] = {}  # an event's type → keys
        self._globs: list[str] = []  # keys with a glob
        self.matched: dict[str, list[Event]] = {}  # those that found something

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def put(self, key: str, record: Any) -> None:
        """Take a record in, or what it is now."""
        source: EventSource = record.events
        self._records[key] = record
        if self._sources.get(key) != source:
            self.discard(key)
            self._records[key], self._sources[key] = record, source
            self._places[key] = record.after
            self._index(key, source)
            return
        self._places[key] = max(self._places[key], record.after)
        left = [event for event in self.matched.get(key, ()) if event.place > record.after]
        if left:
            self.matched[key] = left
        else:
            self.matched.pop(key, None)

    def discard(self, key: str) -> None:
        """Forget a record."""
        source = self._sources.pop(key, None)
        if source is None:
            return
        del self._records[key], self._places[key]
        self.matched.pop(key, None)
        for type_ in source.types:
            if key in self._exact.get(type_, ()):
                self._exact[type_].remove(key)
        if key in self._globs:
            self._globs.remove(key)

    def _index(self, key: str, source: EventSource) -> None:
        if any(_GLOB & set(type_) for type_ in source.types):
            self._globs.append(key)
            return
        for type_ in source.types:
            self._exact.setdefault(type_, []).append(key)

    def place(self, key: str) -> Place:
        """Return how far events were looked at for a record."""
        return self._places[key]

    def skip(self, key: str, upto: Place) -> None:
        """Go on behind a place."""
        self._places[key] = max(self._places[key], upto)

    def behind(self) -> dict[str, Place]:
        """Return the records that events are to be looked at for, with the place of each."""
        return {
            key: place
            for key, place in self._places.items()
            if len(self.matched.get(key, ())) < _MATCHED
        }

    def types(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return globs for what these wait for, () when it is simpler to look at all events."""
        wanted = dict.fromkeys(type_ for key in keys for type_ in self._sources[key].types)
        return tuple(wanted) if len(wanted) <= _TYPES else ()

    def look(
        self, asked: dict[str, Place], events: Sequence[Event], upto: Place, wants: Wants
    ) -> None:
        """Look at events for the records that asked, each from its place; all up to `upto`."""
        open_ = {key for key, place in asked.items() if self._places.get(key) == place}
        for event in events:
            for key in (*self._exact.get(event.type, ()), *self._globs):
                fresh = key in open_ and event.place > asked[key]
                if fresh and wants(key, self._records[key], event):
                    self.matched.setdefault(key, []).append(event)
        for key in open_:
            self.skip(key, upto)
