"""The operations on schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jobd.api.schedule_preview import Preview, Upcoming
from jobd.api.schedule_views import ScheduleDetail
from jobd.api.schedules import Backfilled, Fired, SchedulePage
from jobd.client.operation import Operation, nothing, operation, reads_as

__all__ = [
    "backfill_schedule",
    "delete_schedule",
    "fire_schedule",
    "get_schedule",
    "list_schedules",
    "list_upcoming",
    "pause_schedule",
    "preview_schedule",
    "put_schedule",
    "resume_schedule",
]


def list_schedules(cursor: str | None, limit: int) -> Operation[SchedulePage]:
    """Return a page of the schedules."""
    query = {"cursor": cursor, "limit": limit}
    return operation("list_schedules", reads_as(SchedulePage), query=query)


def list_upcoming(limit: int) -> Operation[Upcoming]:
    """Return the next fires of all schedules."""
    return operation("list_upcoming", reads_as(Upcoming), query={"limit": limit})


def get_schedule(name: str) -> Operation[ScheduleDetail]:
    """Return a schedule."""
    return operation("get_schedule", reads_as(ScheduleDetail), params={"name": name})


def put_schedule(
    name: str, spec: Mapping[str, Any], if_match: int | None
) -> Operation[ScheduleDetail]:
    """Put a schedule; again is the same."""
    return operation(
        "put_schedule",
        reads_as(ScheduleDetail),
        params={"name": name},
        body=msgspec.json.encode(spec),
        headers=_condition(if_match),
        again="safe" if if_match is None else "once",
    )


def delete_schedule(name: str, if_match: int | None) -> Operation[None]:
    """Delete a schedule."""
    headers = _condition(if_match)
    params = {"name": name}
    return operation("delete_schedule", nothing, params=params, headers=headers, again="once")


def pause_schedule(name: str) -> Operation[ScheduleDetail]:
    """Pause a schedule; again is the same."""
    return operation("pause_schedule", reads_as(ScheduleDetail), params={"name": name})


def resume_schedule(name: str) -> Operation[ScheduleDetail]:
    """Resume a schedule; again is the same."""
    return operation("resume_schedule", reads_as(ScheduleDetail), params={"name": name})


def fire_schedule(name: str, given: Any, key: str) -> Operation[Fired]:
    """Start what a schedule starts."""
    body = msgspec.json.encode({"input": given})
    return operation("fire_schedule", reads_as(Fired), params={"name": name}, body=body, key=key)


def backfill_schedule(
    name: str, first: str, last: str, *, at_once: bool, key: str
) -> Operation[Backfilled]:
    """Have a schedule fire for a range of the past."""
    body = msgspec.json.encode({"from": first, "to": last, "at_once": at_once})
    params = {"name": name}
    return operation("backfill_schedule", reads_as(Backfilled), params=params, body=body, key=key)


def preview_schedule(
    name: str, count: int, after: str | None, *, around_dst: bool
) -> Operation[Preview]:
    """Return when a schedule will fire."""
    query = {"count": count, "after": after, "around_dst": around_dst}
    return operation("preview_schedule", reads_as(Preview), params={"name": name}, query=query)


def _condition(if_match: int | None) -> dict[str, str]:
    return {} if if_match is None else {"If-Match": f'"{if_match}"'}
