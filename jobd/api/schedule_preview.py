"""What is ahead: GET /schedules/upcoming and /schedules/{name}/preview."""

from __future__ import annotations

import asyncio
import heapq
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.core.schedule.preview import ahead, around_changes
from actors.core.schedule.times import due_ms, next_ms
from actors.core.view import Entry, View
from actors.errors import NotFound
from actors.model import keys
from actors.model.ids import NAME_RE
from jobd.api.call import Call, Reply
from jobd.api.query import ReadQuery, Since, moment_or_ago
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES", "Preview", "PreviewedFire", "Upcoming", "UpcomingFire", "entry_of"]

PREVIEWED: Final = 100


class UpcomingQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many fires to say."""

    limit: Annotated[int, Meta(ge=1, le=PREVIEWED)] = 20


class UpcomingFire(msgspec.Struct, frozen=True, kw_only=True):
    """A fire that is ahead."""

    schedule: str
    nominal: Stamp
    due_at: Stamp


class Upcoming(msgspec.Struct, frozen=True):
    """The next fires of all schedules, in the order of their nominal times."""

    items: list[UpcomingFire]


class PreviewQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`after`: from when on, now without it. `around_dst`: around the next two clock changes."""

    count: Annotated[int, Meta(ge=1, le=PREVIEWED)] = 10
    around_dst: bool = False
    after: Since | None = None


class PreviewedFire(msgspec.Struct, frozen=True, kw_only=True):
    """A nominal time, what the schedule's clock shows then, and what is odd about it."""

    nominal: Stamp
    local: str
    note: str


class Preview(msgspec.Struct, frozen=True):
    """What is ahead of one schedule."""

    items: list[PreviewedFire]


async def list_upcoming(call: Call[UpcomingQuery, None]) -> Reply:
    """List the next fires of all schedules."""
    heads = [
        (entry.noun.next_ms, keys.last(key))
        for key, entry in call.gateway.view.scan("schedule/")
        if entry.noun.next_ms and not entry.noun.paused
    ]
    heapq.heapify(heads)
    items: list[UpcomingFire] = []
    while heads and len(items) < call.query.limit:
        nominal_ms, name = heapq.heappop(heads)
        entry = call.gateway.view.get(keys.schedule(name))
        if entry is None:
            continue
        recurrence = entry.noun.recurrence
        due = stamp(due_ms(recurrence, name, nominal_ms))
        items.append(UpcomingFire(schedule=name, nominal=stamp(nominal_ms), due_at=due))
        following = next_ms(recurrence, name, nominal_ms)
        if following is not None:
            heapq.heappush(heads, (following, name))
        if len(items) % 16 == 0:
            await asyncio.sleep(0)
    return Reply(Upcoming(items))


async def preview_schedule(call: Call[PreviewQuery, None]) -> Reply:
    """Say when a schedule will fire."""
    name, query = call.path("name"), call.query
    recurrence = entry_of(call.gateway.view, name).noun.recurrence
    after_ms = max(0, moment_or_ago("after", query.after, call.clock()) or call.clock())
    wanted = around_changes if query.around_dst else ahead
    items: list[PreviewedFire] = []
    for each in wanted(recurrence, name, after_ms, query.count):
        items.append(
            PreviewedFire(nominal=stamp(each.nominal_ms), local=each.local, note=each.note)
        )
        if len(items) % 16 == 0:
            await asyncio.sleep(0)
    return Reply(Preview(items))


def entry_of(view: View, name: str) -> Entry:
    """Return the record of a schedule. Raises NotFound."""
    entry = view.get(keys.schedule(name)) if NAME_RE.fullmatch(name) else None
    if entry is None:
        raise NotFound(
            f"there is no schedule {name!r}", remedy="`jobctl schedule list` names those there are"
        )
    return entry


ROUTES: Final = (
    Route(
        "GET",
        "/schedules/upcoming",
        "read",
        list_upcoming,
        "List the next fires of all schedules",
        query=UpcomingQuery,
        returns=Upcoming,
    ),
    Route(
        "GET",
        "/schedules/{name}/preview",
        "read",
        preview_schedule,
        "Say when a schedule will fire",
        query=PreviewQuery,
        returns=Preview,
    ),
)
