"""Handlers of events: read, follow, emit one's own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.ports import EventPage
from actors.errors import InvalidInput
from actors.model import keys
from actors.model.cause import Cause
from actors.model.event import Event, Where, event_id, is_where, parse_event_id
from actors.model.ids import is_id
from jobd.api.call import HEARTBEAT_S, Call, Item, Items, Reply, Stream, once
from jobd.api.gateway import Gateway
from jobd.api.job_views import CauseView, cause_view
from jobd.api.past_jobs import events_of, view_of
from jobd.api.query import PageSize, ReadQuery
from jobd.api.route import SSE, Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES", "EventPageView", "JobEventQuery", "events_about"]

PAGE_EVENTS: Final = 200
FILTER_LOOKS: Final = 20
RESERVED: Final = "jobd:"
_LAST: Final = 2**31  # above every k of a revision


SUBJECT_CHARS: Final = 512
_TYPE: Final = re.compile("[!-~]{1,128}")
EventType = Annotated[str, Meta(extra_json_schema={"pattern": f"^(?!{RESERVED}){_TYPE.pattern}$"})]
_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,10})?")
EventId = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_ID.pattern}$"})]


Filter = Annotated[str, Meta(extra_json_schema={"pattern": "^[^=]+=.*$"})]


class EventQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`types` are globs, any of which may match; `after` is an event's id.

    `filter` is `path=value`, all of which must be so in the data: `order.country=de`. A value that
    is JSON is that (12, true, "12"), any other one text.
    """

    types: list[str] = []
    subject: str | None = None
    filter: list[Filter] = []
    after: EventId | None = None
    limit: PageSize = 100


class JobEventQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As of all events, of one job."""

    after: EventId | None = None
    limit: PageSize = 100


class FollowQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `after` and Last-Event-ID the stream begins with what happens now."""

    types: list[str] = []
    subject: str | None = None
    filter: list[Filter] = []
    after: EventId | None = None


class EventView(msgspec.Struct, frozen=True):
    """A fact; `id` is its place in the total order, `<revision>-<k>`.

    `cause` is what made an event of one's own; of the system's events their data says it.
    """

    id: str
    type: str
    time: Stamp
    subject: str
    data: dict[str, Any]
    trace: str
    cause: CauseView | None = None


class EventPageView(msgspec.Struct, frozen=True):
    """Events in order. `gap`: some behind `after` are no longer kept."""

    items: list[EventView]
    next_cursor: str | None
    gap: bool


class EventBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A custom event; names with the prefix `jobd:` are the system's own."""

    type: EventType
    subject: Annotated[str, Meta(max_length=SUBJECT_CHARS)] = ""
    data: dict[str, Any] = {}


class Emitted(msgspec.Struct, frozen=True):
    """The id of an emitted event."""

    id: str


async def list_events(call: Call[EventQuery, None]) -> Reply:
    """List events in order."""
    query = call.query
    types = _split(query.types)
    after, where = _after(query.after), _where(query.filter)
    page = await events_of(call.gateway, after, query.limit, types, query.subject)
    if where:
        page, more = await _filtered(call.gateway, page, query, where)
        shown = [_view(event) for event in page.events]
        return Reply(EventPageView(shown, more, page.gap))
    return Reply(_page(page, query.limit))


async def _filtered(
    gateway: Gateway, page: EventPage, query: EventQuery, where: Where
) -> tuple[EventPage, str | None]:
    """Go through pages until one is full of what is wanted; return it and where to go on.

    After FILTER_LOOKS pages it is what was found: a filter that matches nothing costs no more.
    """
    found: list[Event] = []
    gap = page.gap
    for _ in range(FILTER_LOOKS):
        for event in page.events:
            if is_where(event.data, where):
                found.append(event)
                if len(found) == query.limit:
                    return EventPage(tuple(found), gap), event.id
        if len(page.events) < query.limit:
            return EventPage(tuple(found), gap), None
        last = page.events[-1]
        types = _split(query.types)
        page = await events_of(gateway, last.place, query.limit, types, query.subject)
        gap = gap or page.gap
    return EventPage(tuple(found), gap), last.id


async def list_job_events(call: Call[JobEventQuery, None]) -> Reply:
    """List the events of a job."""
    job_id = call.path("id")
    await view_of(call.gateway, job_id)
    return await events_about(call, keys.job(job_id))


async def events_about(call: Call[JobEventQuery, None], subject: str) -> Reply:
    """Return a page of the events about one thing."""
    after = _after(call.query.after)
    page = await events_of(call.gateway, after, call.query.limit, (), subject)
    return Reply(_page(page, call.query.limit))


async def stream_events(call: Call[FollowQuery, None]) -> Stream:
    """Follow events; a `gap` item says that some are no longer kept."""
    resumed = call.last_event_id or call.query.after
    after = _after(resumed) if resumed else (call.gateway.view.revision, _LAST)
    types, where = _split(call.query.types), _where(call.query.filter)
    return Stream(_follow(call.gateway, after, types, call.query.subject, where))


async def _follow(
    gateway: Gateway,
    after: tuple[int, int],
    types: tuple[str, ...],
    subject: str | None,
    where: Where,
) -> Items:
    """Read on from a place, then take what is published; read again when that was too much.

    The tail is open before the first read, so what is published meanwhile comes twice, not never.
    """
    with gateway.event_tail(types, subject) as tail:
        while True:
            behind = True
            while behind:
                page = await events_of(gateway, after, PAGE_EVENTS, types, subject)
                items = [Item("gap", {"after": event_id(*after)})] if page.gap else []
                items += _items(page.events, where)
                if page.events:
                    after = _place(page.events[-1])
                if items:
                    yield items
                behind = len(page.events) == PAGE_EVENTS
            while not behind:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        events, behind = await tail.take()
                except TimeoutError:
                    yield []
                    continue
                fresh = [event for event in events if _place(event) > after]
                if fresh:
                    after = _place(fresh[-1])
                    items = _items(fresh, where)
                    if items:
                        yield items


def _items(events: Iterable[Event], where: Where) -> list[Item]:
    wanted = (event for event in events if is_where(event.data, where))
    return [Item("event", _view(event), event.id) for event in wanted]


def _where(texts: Sequence[str]) -> Where:
    """Read filters. Raises InvalidInput."""
    if len(texts) > limits.EVENT_FILTERS:
        raise InvalidInput(f"more than {limits.EVENT_FILTERS} filters (EVENT_FILTERS)")
    found = []
    for text in texts:
        path, equals, value = text.partition("=")
        if not path or not equals:
            raise InvalidInput(f"a filter is path=value, not {text!r}")
        try:
            wanted = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            wanted = value
        found.append((path, value if isinstance(wanted, dict | list) else wanted))
    return tuple(found)


def _place(event: Event) -> tuple[int, int]:
    return event.revision, event.k


async def emit_event(call: Call[Any, EventBody]) -> Reply:
    """Emit a custom event.

    A request of a running job may name it in the header `JobD-Job` (`JOBD_JOB_ID`): what the event
    starts then has the job among its causes. jobctl and the client library do so by themselves.
    """
    body = call.body
    if body.type.startswith(RESERVED):
        raise InvalidInput(f"types that begin with {RESERVED} are the system's own")
    if not _TYPE.fullmatch(body.type):
        raise InvalidInput("an event's type has 1 to 128 visible ASCII characters")
    _check_depth(body.data)
    made = await call.gateway.emit_event(
        body.type,
        body.subject,
        body.data,
        request=call.request_key("emit_event"),
        cause=_emitter(call),
    )
    return once(made, Emitted(event_id(made.revision, 0)))


def _emitter(call: Call[Any, EventBody]) -> Cause | None:
    """Return the job that a request says it comes from, so that a chain goes on behind it."""
    job_id = call.headers.get("JobD-Job", "")
    entry = call.gateway.view.get(keys.job(job_id)) if is_id(job_id) else None
    if entry is None:
        return None
    behind: Cause | None = entry.noun.cause
    if behind is None:
        return Cause("job", job_id)
    return Cause("job", job_id, behind.depth + 1, behind.via)


def _check_depth(data: dict[str, Any]) -> None:
    """Refuse what some reader might have no stack for, the node's own recovery among them."""
    level: list[Any] = [data]
    for _ in range(limits.EVENT_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise InvalidInput(f"the data is nested deeper than {limits.EVENT_DEPTH} (EVENT_DEPTH)")


def _after(text: str | None) -> tuple[int, int]:
    if text is None:
        return (0, 0)
    if not _ID.fullmatch(text):
        raise InvalidInput(f"{text!r} is no event's id; they look like 42-0")
    return parse_event_id(text)


def _split(types: list[str]) -> tuple[str, ...]:
    """Types may be repeated or stand in one parameter, divided by commas."""
    return tuple(glob for text in types for glob in text.split(",") if glob)


def _page(page: EventPage, limit: int) -> EventPageView:
    full = len(page.events) >= limit
    return EventPageView(
        [_view(event) for event in page.events],
        page.events[-1].id if full else None,
        page.gap,
    )


def _view(event: Event) -> EventView:
    return EventView(
        event.id,
        event.type,
        stamp(event.time_ms),
        event.subject,
        event.data,
        event.trace,
        cause_view(event.cause),
    )


ROUTES: Final = (
    Route(
        "GET",
        "/events",
        "read",
        list_events,
        "List events",
        query=EventQuery,
        returns=EventPageView,
    ),
    Route(
        "POST",
        "/events",
        "write",
        emit_event,
        "Emit a custom event",
        body=EventBody,
        example={"type": "order:created", "subject": "orders/7", "data": {"total": 12}},
        returns=Emitted,
        status=201,
        repeatable=True,
    ),
    Route(
        "GET",
        "/events/stream",
        "read",
        stream_events,
        "Follow events",
        query=FollowQuery,
        returns=EventView,
        produces=SSE,
    ),
    Route(
        "GET",
        "/jobs/{id}/events",
        "read",
        list_job_events,
        "List a job's events",
        query=JobEventQuery,
        returns=EventPageView,
    ),
)
