"""How schedules look on the wire, made from their records."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from actors.core.schedule.preview import reasons
from actors.core.schedule.times import due_ms
from actors.core.view import Entry, View
from actors.model import keys
from actors.model.schedule import Fire, FireOutcome, Schedule
from jobd.api.job_views import normal_form
from jobd.api.stamp import Stamp, stamp, stamp_or_none

__all__ = ["BackfillView", "FireView", "ScheduleDetail", "ScheduleView", "detail_of", "view_of"]


class FireView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a nominal time, or of `count` of them in a row; 0: more than were counted.

    `started` is the job or run of a fire. `detail` of one skipped is what still ran.
    """

    nominal: Stamp
    until: Stamp | None
    at: Stamp
    outcome: FireOutcome
    reason: str
    count: int
    started: str | None
    detail: str


class BackfillView(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill under way: its range, how far it is, and how many it has fired."""

    id: str
    first: Stamp
    last: Stamp
    done_until: Stamp
    at_once: bool
    fires: int


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule in a list. `next_at` is its next nominal time, `due_at` that with its jitter."""

    name: str
    starts: Literal["job", "pipeline"]
    state: Literal["active", "paused", "finished"]
    cron: list[str]
    every_ms: int
    timezone: str
    next_at: Stamp | None
    due_at: Stamp | None
    last: FireView | None
    fires: int
    missed: int
    skipped: int
    running: list[str]
    queued: int
    created_at: Stamp
    revision: int


class ScheduleDetail(ScheduleView, frozen=True, kw_only=True):
    """A schedule by itself: all that it was told, and what became of its last fires.

    `reasons` say why it starts nothing at this moment. `spec` is that of its jobs.
    """

    recurrence: dict[str, Any]
    spec: dict[str, Any] | None
    recent: list[FireView]
    backfills: list[BackfillView]
    reasons: list[dict[str, str]]


def view_of(name: str, entry: Entry) -> ScheduleView:
    """Return a schedule as it is listed."""
    return ScheduleView(**_fields(name, entry))


def detail_of(view: View, name: str, entry: Entry, now_ms: int) -> ScheduleDetail:
    """Return a schedule by itself."""
    schedule: Schedule = entry.noun
    template = view.get(keys.template(name)) if schedule.target.kind == "job" else None
    return ScheduleDetail(
        **_fields(name, entry),
        recurrence=normal_form(schedule.recurrence),
        spec=normal_form(template.noun) if template is not None else None,
        recent=[_fire(fire) for fire in reversed(schedule.recent)],
        backfills=[
            BackfillView(
                id=each.id,
                first=stamp(each.from_ms),
                last=stamp(each.to_ms),
                done_until=stamp(each.cursor_ms),
                at_once=each.at_once,
                fires=each.fires,
            )
            for each in schedule.backfills
        ],
        reasons=reasons(view, name, schedule, now_ms),
    )


def _fields(name: str, entry: Entry) -> dict[str, Any]:
    schedule: Schedule = entry.noun
    recurrence, next_ms = schedule.recurrence, schedule.next_ms
    state = "paused" if schedule.paused else "active" if next_ms else "finished"
    return {
        "name": name,
        "starts": schedule.target.kind,
        "state": state,
        "cron": list(recurrence.cron),
        "every_ms": recurrence.every_ms,
        "timezone": recurrence.timezone,
        "next_at": stamp_or_none(next_ms),
        "due_at": stamp(due_ms(recurrence, name, next_ms)) if next_ms else None,
        "last": _fire(schedule.recent[-1]) if schedule.recent else None,
        "fires": schedule.fires,
        "missed": schedule.missed,
        "skipped": schedule.skipped,
        "running": list(schedule.running),
        "queued": len(schedule.queued),
        "created_at": stamp(schedule.created_ms),
        "revision": entry.revision,
    }


def _fire(fire: Fire) -> FireView:
    return FireView(
        nominal=stamp(fire.nominal_ms),
        until=stamp_or_none(fire.until_ms),
        at=stamp(fire.at_ms),
        outcome=fire.outcome,
        reason=fire.reason,
        count=fire.count,
        started=fire.started or None,
        detail=fire.detail,
    )
