"""A fact that happened, with its place in the total order."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from actors.model.cause import Cause, CauseKind

__all__ = [
    "Event",
    "EventDraft",
    "Place",
    "Where",
    "cause_of",
    "event_id",
    "is_where",
    "matches",
    "parse_event_id",
    "shown_event",
]

Place = tuple[int, int]  # (revision, k)
# (path in the data, what is there: one value, or a tuple of which it is any)
Where = tuple[tuple[str, Any], ...]


class EventDraft(msgspec.Struct, frozen=True, array_like=True):
    """What a transaction emits; revision and time come with the commit."""

    type: str
    subject: str
    data: dict[str, Any] = {}
    trace: str = ""
    cause: Cause | None = None  # what it comes of, where its data does not say so


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A committed event: the k-th of its revision. `time_ms` is the transaction's stamp."""

    revision: int
    k: int
    time_ms: int
    type: str
    subject: str
    data: dict[str, Any] = {}
    trace: str = ""
    cause: Cause | None = None

    @property
    def place(self) -> Place:
        """Its place in the total order."""
        return self.revision, self.k

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


def shown_event(event: Event) -> dict[str, Any]:
    """Return an event as it looks outside."""
    when = datetime.fromtimestamp(event.time_ms / 1000, UTC)
    return {
        "id": event.id,
        "type": event.type,
        "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "subject": event.subject,
        "data": event.data,
    }


def matches(event: Event, types: tuple[str, ...], subject: str | None) -> bool:
    """Say whether an event has one of these types (globs; none: any) and this subject."""
    if subject is not None and event.subject != subject:
        return False
    return not types or any(fnmatchcase(event.type, pattern) for pattern in types)


def is_where(data: Any, where: Where) -> bool:
    """Say whether there is in the data what a filter wants.

    A path has names and list indexes with dots between them. A boolean is no number.
    """
    return all(_is_one_of(_at(data, path), wanted) for path, wanted in where)


def cause_of(event: Event) -> Cause | None:
    """Return what an event comes of: its own cause, or that of the job or run that it is about."""
    told = event.data.get("cause") if event.type.startswith("jobd:") else None
    if event.cause is None and isinstance(told, dict):
        try:
            return msgspec.convert(told, _Told).as_cause()
        except msgspec.ValidationError:
            return None
    return event.cause


class _Told(msgspec.Struct, frozen=True):
    """A cause as the data of an event says it."""

    kind: CauseKind
    id: str
    depth: int = 0
    via: tuple[str, ...] = ()

    def as_cause(self) -> Cause:
        return Cause(self.kind, self.id, self.depth, self.via)


_NOTHING: Final = object()


def _at(data: Any, path: str) -> Any:
    value = data
    for step in path.removeprefix("$.").split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _NOTHING
    return value


def _is_one_of(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple | list):
        return any(_is_one_of(value, one) for one in wanted)
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)
