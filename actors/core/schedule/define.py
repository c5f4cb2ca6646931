"""What users do with a schedule: define, pause, resume, delete it, fire it by hand, fill gaps."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import limits
from actors.core.schedule.times import latest, next_ms
from actors.core.schedule.turn import Turn
from actors.core.start import Refused
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import Entry, View
from actors.errors import Busy, Conflict, InvalidInput, NotFound
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.recurrence import Recurrence
from actors.model.schedule import Backfill, Schedule
from actors.model.target import Target

__all__ = ["Parts", "backfill", "define_schedule", "delete_schedule", "fire_now", "pause", "resume"]

_COUNTED = 64
Parts = tuple[tuple[Check, ...], tuple[Op, ...], tuple[EventDraft, ...]]


def define_schedule(
    view: View, name: str, recurrence: Recurrence, target: Target, *, now_ms: int, principal: str
) -> Parts:
    """Return checks, ops and events that make or change a schedule; no ops when it is so already.

    Other times than before begin now: what they would have been until now is not made up for.
    Raises Conflict for a name whose schedule is another target's, Busy for one too many.
    """
    key = keys.schedule(name)
    entry = view.get(key)
    if entry is None:
        if view.count("schedule/") >= limits.SCHEDULES:
            raise Busy(f"there are {limits.SCHEDULES} schedules (SCHEDULES)", remedy="delete some")
        timed = _anchored(recurrence, None, now_ms)
        made = Schedule(
            recurrence=msgspec.structs.replace(timed, paused=None),
            target=target,
            created_ms=now_ms,
            principal=principal,
            cursor_ms=now_ms,
            next_ms=next_ms(timed, name, now_ms) or 0,
            paused=bool(recurrence.paused),
        )
        return (absent(key),), ((key, encode(made)),), ()
    before: Schedule = entry.noun
    if before.target != target:
        raise Conflict(
            f"the schedule {name} is that of {before.target.kind} {before.target.name}",
            remedy="take another name, or delete that one first",
        )
    after = _changed(before, name, recurrence, now_ms)
    if after != before:
        after = msgspec.structs.replace(after, principal=principal)
    ops = ((key, encode(after)),) if after != before else ()
    return (at(key, entry.revision),), ops, ()


def delete_schedule(view: View, name: str) -> Parts:
    """Return what deletes a schedule; what it started goes on. Raises NotFound."""
    entry = _entry(view, name)
    key = keys.schedule(name)
    return (at(key, entry.revision),), ((key, None),), ()


def pause(view: View, name: str, now_ms: int) -> Txn | None:
    """Return what pauses a schedule, None when it is paused. Raises NotFound."""
    entry = _entry(view, name)
    if entry.noun.paused:
        return None
    turn = Turn(view, name, entry, now_ms)
    turn.change(paused=True)
    return turn.txn()


def resume(view: View, name: str, now_ms: int) -> Txn | None:
    """Return what has a paused schedule go on from now, None when it isn't paused.

    What it would have fired meanwhile is recorded as missed. Raises NotFound.
    """
    entry = _entry(view, name)
    schedule: Schedule = entry.noun
    if not schedule.paused:
        return None
    turn = Turn(view, name, entry, now_ms)
    turn.change(paused=False)
    if schedule.next_ms and schedule.next_ms <= now_ms:
        times, all_of_them = latest(schedule.recurrence, name, schedule.cursor_ms, now_ms, _COUNTED)
        count = len(times) if all_of_them else 0
        turn.miss(schedule.next_ms, "paused", until_ms=times[-1], count=count)
    turn.move_cursor(max(schedule.cursor_ms, now_ms))
    return turn.txn()


def fire_now(
    view: View, name: str, *, new_id: str, now_ms: int, principal: str, given_input: Any = None
) -> Txn | Refused:
    """Return what starts a schedule's job or run now, whatever its times and its overlap policy.

    Raises NotFound.
    """
    turn = Turn(view, name, _entry(view, name), now_ms)
    started = turn.start(
        now_ms,
        due_ms=now_ms,
        reason="manual",
        new_id=new_id,
        given_input=given_input,
        principal=principal,
    )
    if isinstance(started, Refused):
        return started
    turn.track(started)
    return turn.txn()


def backfill(
    view: View,
    name: str,
    *,
    new_id: str,
    from_ms: int,
    to_ms: int,
    at_once: bool,
    now_ms: int,
) -> Txn:
    """Return what has a schedule fire for its nominal times of [from, to].

    Raises NotFound, InvalidInput for a range without one, Busy for one backfill too many.
    """
    entry = _entry(view, name)
    schedule: Schedule = entry.noun
    if to_ms < from_ms:
        raise InvalidInput("the range ends before it begins")
    if to_ms > now_ms:
        raise InvalidInput("the range ends in the future", remedy="the schedule fires by itself")
    first = next_ms(schedule.recurrence, name, from_ms - 1)
    if first is None or first > to_ms:
        raise InvalidInput(f"the schedule {name} has no nominal time in this range")
    if len(schedule.backfills) >= limits.SCHEDULE_BACKFILLS:
        raise Busy(
            f"{limits.SCHEDULE_BACKFILLS} backfills are under way (SCHEDULE_BACKFILLS)",
            remedy="wait until one of them is done",
        )
    turn = Turn(view, name, entry, now_ms)
    asked = Backfill(new_id, from_ms, to_ms, from_ms - 1, at_once)
    turn.change(backfills=(*schedule.backfills, asked))
    return turn.txn()


def _entry(view: View, name: str) -> Entry:
    entry = view.get(keys.schedule(name))
    if entry is None:
        raise NotFound(
            f"there is no schedule {name}", remedy="`jobctl schedule list` names those there are"
        )
    return entry


def _anchored(recurrence: Recurrence, before: Recurrence | None, now_ms: int) -> Recurrence:
    """Give an interval its anchor: as it was while the interval is the same, else this second."""
    if not recurrence.every_ms or recurrence.anchor_ms:
        return recurrence
    kept = before is not None and before.every_ms == recurrence.every_ms
    anchor_ms = before.anchor_ms if before is not None and kept else now_ms // 1000 * 1000
    return msgspec.structs.replace(recurrence, anchor_ms=anchor_ms)


def _changed(before: Schedule, name: str, recurrence: Recurrence, now_ms: int) -> Schedule:
    timed = msgspec.structs.replace(
        _anchored(recurrence, before.recurrence, now_ms), paused=before.recurrence.paused
    )
    paused = before.paused if recurrence.paused is None else recurrence.paused
    cursor_ms = before.cursor_ms
    if timed != before.recurrence or (before.paused and not paused):
        cursor_ms = max(cursor_ms, now_ms)
    over = 0 < timed.max_fires <= before.fires
    ahead = None if over else next_ms(timed, name, cursor_ms)
    return msgspec.structs.replace(
        before, recurrence=timed, paused=paused, cursor_ms=cursor_ms, next_ms=ahead or 0
    )
