"""Handlers of /schedules: what recurs, and what is ahead."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.schedule.times import nominal_times
from actors.core.spec import job_schema
from actors.core.spec.quantity import moment_ms
from actors.errors import InvalidInput, InvalidSpec, Problem
from actors.model import keys
from actors.model.spec import JobSpec
from jobd.api.call import Call, Reply, once
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.jobs import YAML, read_spec
from jobd.api.query import ListQuery, NoQuery, ReadQuery
from jobd.api.route import JSON, Route
from jobd.api.schedule_preview import entry_of
from jobd.api.schedule_views import ScheduleDetail, ScheduleView, detail_of, view_of
from jobd.api.stamp import Stamp

__all__ = ["ROUTES"]

EXAMPLE: Final = {
    "name": "nightly",
    "type": "command",
    "shell": "echo done",
    "trigger": {"cron": "0 2 * * *", "timezone": "Europe/Berlin"},
}


class ScheduleQuery(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Schedules whose names begin with `prefix`."""

    prefix: str = ""


class SchedulePage(msgspec.Struct, frozen=True):
    """Schedules by name."""

    items: list[ScheduleView]
    next_cursor: str | None


class FireBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input of what starts; null is the spec's own."""

    input: Any = None


class Fired(msgspec.Struct, frozen=True):
    """What was started by hand."""

    id: str
    idempotency_key: str


class BackfillBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """A range of moments (RFC 3339), both ends included; `at_once`: not one after another."""

    from_: Stamp
    to: Stamp
    at_once: bool = False


class Backfilled(msgspec.Struct, frozen=True):
    """A backfill that is under way."""

    id: str
    idempotency_key: str


async def list_schedules(call: Call[ScheduleQuery, None]) -> Reply:
    """List the schedules by name."""
    limit, after = call.query.limit, read_cursor(call.query)
    items: list[ScheduleView] = []
    prefix = keys.schedule(call.query.prefix)
    for key, entry in call.gateway.view.scan(prefix, after and keys.schedule(after)):
        if len(items) == limit:
            return Reply(SchedulePage(items, make_cursor(items[-1].name, call.query)))
        items.append(view_of(keys.last(key), entry))
    return Reply(SchedulePage(items, None))


async def get_schedule(call: Call[ReadQuery, None]) -> Reply:
    """Return one schedule, with what became of its last fires and why it waits."""
    return _detail(call, call.path("name"))


async def put_schedule(call: Call[NoQuery, bytes]) -> Reply:
    """Put a schedule: the spec of its jobs, whose trigger says when they start.

    `If-Match` and `If-None-Match: *` make it conditional.
    """
    name, spec = call.path("name"), await read_spec(call.body, call.clock())
    _check_put(name, spec)
    revision = await call.gateway.schedules.put(
        spec,
        principal=call.principal.token_id,
        if_match=call.if_match,
        if_none_match=call.if_none_match,
    )
    return _detail(call, name, revision)


async def delete_schedule(call: Call[NoQuery, None]) -> Reply:
    """Delete a schedule; what it started goes on. `If-Match` makes it conditional."""
    revision = await call.gateway.schedules.delete(_name(call), if_match=call.if_match)
    return Reply(revision=revision)


async def pause_schedule(call: Call[NoQuery, None]) -> Reply:
    """Have a schedule start nothing until it is resumed."""
    revision = await call.gateway.schedules.pause(_name(call), if_match=call.if_match)
    return _detail(call, call.path("name"), revision)


async def resume_schedule(call: Call[NoQuery, None]) -> Reply:
    """Have a paused schedule go on from now; what it did not fire meanwhile is missed."""
    revision = await call.gateway.schedules.resume(_name(call), if_match=call.if_match)
    return _detail(call, call.path("name"), revision)


async def fire_schedule(call: Call[NoQuery, FireBody]) -> Reply:
    """Start a schedule's job now, whatever its times."""
    written, made = await call.gateway.schedules.fire(
        _name(call), call.body.input, request=call.request_key(f"fire {call.path('name')}")
    )
    return once(written, Fired(made, written.key))


async def backfill_schedule(call: Call[NoQuery, BackfillBody]) -> Reply:
    """Have a schedule fire for its times of a range of the past."""
    first, last = _moment("from", call.body.from_), _moment("to", call.body.to)
    await _check_range(call, first, last)
    written, made = await call.gateway.schedules.backfill(
        _name(call),
        first,
        last,
        at_once=call.body.at_once,
        request=call.request_key(f"backfill {call.path('name')}"),
    )
    return once(written, Backfilled(made, written.key))


async def _check_range(call: Call[Any, Any], first_ms: int, last_ms: int) -> None:
    """Refuse a range with too many times; counting them takes a while. Raises InvalidInput."""
    name = call.path("name")
    recurrence = entry_of(call.gateway.view, name).noun.recurrence
    for found, nominal_ms in enumerate(nominal_times(recurrence, name, first_ms - 1), 1):
        if nominal_ms > last_ms:
            return
        if found > limits.BACKFILL_FIRES:
            raise InvalidInput(
                f"more than {limits.BACKFILL_FIRES} times are in this range (BACKFILL_FIRES)",
                remedy="backfill it in parts",
            )
        if found % 16 == 0:
            await asyncio.sleep(0)


def _check_put(name: str, spec: JobSpec) -> None:
    problems = []
    if name == "upcoming":
        problems.append(Problem("$.name", 0, 0, "upcoming is no name of a schedule"))
    if spec.name != name:
        problems.append(Problem("$.name", 0, 0, f"the schedule {name} has jobs of that name"))
    if spec.trigger.recurrence is None:
        problems.append(Problem("$.trigger", 0, 0, "cron or every is missing: it says when"))
    if problems:
        raise InvalidSpec(problems)


def _detail(call: Call[Any, Any], name: str, revision: int | None = None) -> Reply:
    entry = entry_of(call.gateway.view, name)
    detail: ScheduleDetail = detail_of(call.gateway.view, name, entry, call.clock())
    return Reply(detail, revision=revision, etag=entry.revision)


def _name(call: Call[Any, Any]) -> str:
    """The name of a schedule that there is."""
    entry_of(call.gateway.view, call.path("name"))
    return call.path("name")


def _moment(name: str, text: str) -> int:
    time_ms = moment_ms(text)
    if time_ms is None:
        raise InvalidInput(f"{name} must be a moment such as 2026-12-01T09:00:00Z, not {text!r}")
    return time_ms


ROUTES: Final = (
    Route(
        "GET",
        "/schedules",
        "read",
        list_schedules,
        "List the schedules",
        query=ScheduleQuery,
        returns=SchedulePage,
    ),
    Route(
        "GET",
        "/schedules/{name}",
        "read",
        get_schedule,
        "Get a schedule",
        query=ReadQuery,
        returns=ScheduleDetail,
        etag=True,
    ),
    Route(
        "PUT",
        "/schedules/{name}",
        "write",
        put_schedule,
        "Put a schedule",
        body=bytes,
        accepts=(JSON, *YAML),
        content=job_schema,
        example=EXAMPLE,
        returns=ScheduleDetail,
        etag=True,
        conditional=True,
        errors=("invalid_spec", "conflict"),
    ),
    Route(
        "DELETE",
        "/schedules/{name}",
        "write",
        delete_schedule,
        "Delete a schedule",
        status=204,
        conditional=True,
        errors=("conflict",),
    ),
    Route(
        "POST",
        "/schedules/{name}/pause",
        "write",
        pause_schedule,
        "Pause a schedule",
        returns=ScheduleDetail,
        etag=True,
        conditional=True,
    ),
    Route(
        "POST",
        "/schedules/{name}/resume",
        "write",
        resume_schedule,
        "Resume a schedule",
        returns=ScheduleDetail,
        etag=True,
        conditional=True,
    ),
    Route(
        "POST",
        "/schedules/{name}/fire",
        "run",
        fire_schedule,
        "Start a schedule's job now",
        body=FireBody,
        returns=Fired,
        status=202,
        repeatable=True,
        errors=("conflict",),
    ),
    Route(
        "POST",
        "/schedules/{name}/backfill",
        "run",
        backfill_schedule,
        "Fire for a range of the past",
        body=BackfillBody,
        example={"from": "2026-11-01T00:00:00Z", "to": "2026-11-03T00:00:00Z"},
        returns=Backfilled,
        status=202,
        repeatable=True,
    ),
)
