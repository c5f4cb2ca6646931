"""Who listens for events now, by what they listen for.

Rules of this file:
T1  A commit costs each group of listeners with the same filter one look, and a listener only what
    its filter lets through: thousands of idle listeners cost nothing.
T2  A tail gets every event of its filter published after it was opened, in order, until it is full;
    then it says so, takes no more, and its listener reads on from the event log. Nothing is lost
    silently and nothing grows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from actors import limits
from actors.model.event import Event, matches

__all__ = ["EventTail", "EventTails"]


class EventTail:
    """What one listener is yet to take."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._is_full = False

    def push(self, event: Event) -> None:
        """Add an event; at TAIL_EVENTS it and all after it are left to the event log (T2)."""
        if len(self._events) >= limits.TAIL_EVENTS:
            self._is_full = True
        if not self._is_full:
            self._events.append(event)
            self._news.set()

    async def take(self) -> tuple[list[Event], bool]:
        """Wait for events, and return them with whether some after them were left out."""
        await self._news.wait()
        self._news.clear()
        taken = list(self._events)
        self._events.clear()
        left_out, self._is_full = self._is_full, False
        return taken, left_out


class EventTails:
    """The open tails of a node, published to on its loop."""

    def __init__(self) -> None:
        # by subject (None: any), then by types
        self._groups: dict[str | None, dict[tuple[str, ...], set[EventTail]]] = {}

    def publish(self, event: Event) -> None:
        """Hand an event to whoever listens for it."""
        for subject in (None, event.subject):
            for types, tails in self._groups.get(subject, {}).items():
                if matches(event, types, None):
                    for tail in tails:
                        tail.push(event)

    @contextmanager
    def open(self, types: tuple[str, ...], subject: str | None) -> Iterator[EventTail]:
        """Give a tail of the events with one of these types (globs; none: all) and this subject."""
        tail = EventTail()
        group = self._groups.setdefault(subject, {})
        group.setdefault(types, set()).add(tail)
        try:
            yield tail
        finally:
            group[types].discard(tail)
            if not group[types]:
                del group[types]
            if not group:
                del self._groups[subject]
