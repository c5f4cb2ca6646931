"""A fact that happened, with its place in the total order."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import msgspec

__all__ = ["Event", "EventDraft", "event_id", "matches", "parse_event_id"]


class EventDraft(msgspec.Struct, frozen=True, array_like=True):
    """What a transaction emits; revision and time come with the commit."""

    type: str
    subject: str
    data: dict[str, Any] = {}
    trace: str = ""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A committed event: the k-th of its revision. `time_ms` is the transaction's stamp."""

    revision: int
    k: int
    time_ms: int
    type: str
    subject: str
    data: dict[str, Any] = {}
    trace: str = ""

    @property
    def id(self) -> str:
        """The event's id, also its SSE id."""
        return event_id(self.revision, self.k)


def event_id(revision: int, k: int) -> str:
    """Return `<revision>-<k>`."""
    return f"{revision}-{k}"


def parse_event_id(text: str) -> tuple[int, int]:
    """Return (revision, k). Raises ValueError."""
    revision, _, k = text.partition("-")
    return int(revision), int(k or 0)


def matches(event: Event, types: tuple[str, ...], subject: str | None) -> bool:
    """Say whether an event has one of these types (globs; none: any) and this subject."""
    if subject is not None and event.subject != subject:
        return False
    return not types or any(fnmatchcase(event.type, pattern) for pattern in types)
