"""What is due for a schedule: its fires, those that wait, and the backfills.

Rules of this file:
F1  Each nominal time above the cursor is decided once, in order, under at(schedule): it starts, it
    waits in the queue, or its record says why it does neither. The cursor moves over it in the very
    transaction, so whichever nodes are up, and whatever becomes of them, a fire is one job.
F2  A fire at most SCHEDULE_ON_TIME_S late, by a fail-over or a stall, is on time. A later one is
    overdue: `catchup` says whether it is made up for. A laptop that slept, a clock that leapt and a
    cluster that was down are the same to it.
F3  `starting_deadline` holds for every fire, also one that is made up for or has waited.
F4  Overlap is decided from what the record says was started and the view says is open. A view
    behind may take an ended job for an open one, never the other way round.
F5  A transaction starts one job at most: the next nominal time is decided from what it left.
F6  In one view `due` has a decision exactly from `due_at` on, as for jobs (D5).
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final

import msgspec

from actors import limits
from actors.core.schedule.times import due_ms, latest, next_ms
from actors.core.schedule.turn import Turn
from actors.core.start import Refused, is_open
from actors.core.store.txn import Txn
from actors.core.view import View
from actors.model import keys
from actors.model.schedule import Backfill, Schedule

__all__ = ["due", "due_at", "waits_for"]

_AT_ONCE: Final = 0  # a moment that is always past
_LOOKED_AT: Final = 64  # nominal times in one decision


def due_at(view: View, key: str) -> int | None:
    """When a schedule has something due next (Unix milliseconds), None when nothing is ahead."""
    entry = view.get(key)
    if entry is None or entry.noun.paused:
        return None
    schedule: Schedule = entry.noun
    if schedule.queued and not _open(view, schedule, schedule.running):
        return _AT_ONCE
    if any(_may_go_on(view, schedule, each) for each in schedule.backfills):
        return _AT_ONCE
    if not schedule.next_ms:
        return None
    return due_ms(schedule.recurrence, keys.last(key), schedule.next_ms)


def waits_for(schedule: Schedule) -> tuple[str, ...]:
    """Return the jobs or runs whose end may make something due."""
    behind = schedule.running if schedule.queued else ()
    return (*behind, *(each.running for each in schedule.backfills if each.running))


def due(view: View, key: str, *, now_ms: int) -> Txn | None:
    """Return what is due for a schedule now, or None."""
    entry = view.get(key)
    if entry is None or entry.noun.paused:
        return None
    name, schedule = keys.last(key), entry.noun
    turn = Turn(view, name, entry, now_ms)
    if schedule.queued and not turn.running:
        _start_queued(turn, name, now_ms)
    elif schedule.next_ms and now_ms >= due_ms(schedule.recurrence, name, schedule.next_ms):
        _decide(turn, name, now_ms)
    else:
        ready = [each for each in schedule.backfills if _may_go_on(view, schedule, each)]
        if not ready:
            return None
        _go_on(turn, name, ready[0])
    return turn.txn()


# -- its own fires


def _decide(turn: Turn, name: str, now_ms: int) -> None:
    """Decide the nominal times that are due, up to the first that starts something (F5)."""
    schedule = turn.schedule
    recurrence, cursor_ms = schedule.recurrence, schedule.cursor_ms
    second_ms = next_ms(recurrence, name, schedule.next_ms)
    if second_ms is None or second_ms > now_ms:  # one alone, as nearly always
        _decide_one(turn, name, now_ms)
        turn.move_cursor(schedule.next_ms, second_ms)
        return
    most = max(_LOOKED_AT, recurrence.catchup.max_runs)
    times, all_of_them = latest(recurrence, name, cursor_ms, now_ms, most)
    if not all_of_them:
        turn.miss(schedule.next_ms, "catchup", until_ms=times[0] - 1, count=0)
        cursor_ms = times[0] - 1
    ready = list(takewhile(lambda each: due_ms(recurrence, name, each) <= now_ms, times))
    for left, nominal_ms in zip(range(len(ready), 0, -1), ready, strict=True):
        cursor_ms = nominal_ms
        why_not = _missed(turn.schedule, name, nominal_ms, left, now_ms)
        if why_not:
            turn.miss(nominal_ms, why_not)
        elif _run_or_wait(turn, name, nominal_ms, now_ms):
            break
    turn.move_cursor(cursor_ms)


def _decide_one(turn: Turn, name: str, now_ms: int) -> None:
    nominal_ms = turn.schedule.next_ms
    why_not = _missed(turn.schedule, name, nominal_ms, 1, now_ms)
    if why_not:
        turn.miss(nominal_ms, why_not)
    else:
        _run_or_wait(turn, name, nominal_ms, now_ms)


def _missed(schedule: Schedule, name: str, nominal_ms: int, left: int, now_ms: int) -> str:
    """Say why a fire that is due is missed, "" when it isn't (F2, F3)."""
    recurrence = schedule.recurrence
    late_ms = now_ms - due_ms(recurrence, name, nominal_ms)
    catchup, deadline_ms = recurrence.catchup, recurrence.starting_deadline_ms
    if 0 < deadline_ms < late_ms:
        return "starting_deadline"
    if late_ms <= limits.SCHEDULE_ON_TIME_S * 1000:
        return ""
    if catchup.mode == "none":
        return "catchup_none"
    if late_ms > catchup.window_ms:
        return "catchup_window"
    if left > (1 if catchup.mode == "last" else catchup.max_runs):
        return "catchup_last" if catchup.mode == "last" else "catchup_max_runs"
    return ""


def _run_or_wait(turn: Turn, name: str, nominal_ms: int, now_ms: int) -> bool:
    """Apply the overlap policy to a fire; say whether something starts."""
    schedule, policy = turn.schedule, turn.schedule.recurrence.overlap
    if policy == "cancel_previous":
        turn.cancel_running()
    elif turn.running or schedule.queued:
        match policy:
            case "skip":
                turn.skip(nominal_ms, "running")
                return False
            case "queue_one" if schedule.queued:
                turn.skip(nominal_ms, "one waits")
                return False
            case "queue_all" if len(schedule.queued) >= limits.SCHEDULE_QUEUE:
                turn.skip(nominal_ms, "queue full")
                return False
            case "queue_one" | "queue_all":
                turn.change(queued=(*schedule.queued, nominal_ms))
                return False
    late_ms = now_ms - due_ms(schedule.recurrence, name, nominal_ms)
    reason = "catchup" if late_ms > limits.SCHEDULE_ON_TIME_S * 1000 else ""
    return _start(turn, name, nominal_ms, reason)


def _start(turn: Turn, name: str, nominal_ms: int, reason: str) -> bool:
    recurrence = turn.schedule.recurrence
    started = turn.start(nominal_ms, due_ms=due_ms(recurrence, name, nominal_ms), reason=reason)
    if isinstance(started, Refused):
        turn.miss(nominal_ms, started.reason, detail=started.detail)
        return False
    turn.change(fires=turn.schedule.fires + 1)
    if recurrence.overlap != "allow":
        turn.track(started)
    return True


def _start_queued(turn: Turn, name: str, now_ms: int) -> None:
    """Start the first that waits, unless it has waited past its deadline (F3)."""
    nominal_ms, *rest = turn.schedule.queued
    turn.change(queued=tuple(rest))
    late_ms = now_ms - due_ms(turn.schedule.recurrence, name, nominal_ms)
    if 0 < turn.schedule.recurrence.starting_deadline_ms < late_ms:
        turn.miss(nominal_ms, "starting_deadline")
    else:
        _start(turn, name, nominal_ms, "queued")
    turn.move_cursor(turn.schedule.cursor_ms)


# -- backfills


def _open(view: View, schedule: Schedule, started: tuple[str, ...]) -> bool:
    return any(is_open(view, schedule.target, each) for each in started)


def _may_go_on(view: View, schedule: Schedule, each: Backfill) -> bool:
    return not each.running or not is_open(view, schedule.target, each.running)


def _go_on(turn: Turn, name: str, each: Backfill) -> None:
    """Start the next fire of a backfill; one that has none left goes."""
    others = tuple(other for other in turn.schedule.backfills if other.id != each.id)
    nominal_ms = next_ms(turn.schedule.recurrence, name, each.cursor_ms)
    if nominal_ms is None or nominal_ms > each.to_ms:
        turn.change(backfills=others)
        return
    started = turn.start(
        nominal_ms, due_ms=nominal_ms, reason="backfill", kind="backfill", of=each.id
    )
    if isinstance(started, Refused):
        turn.miss(nominal_ms, started.reason, detail=started.detail)
        started = ""
    further = msgspec.structs.replace(
        each,
        cursor_ms=nominal_ms,
        fires=each.fires + bool(started),
        running="" if each.at_once else started,
    )
    turn.change(backfills=(*others, further) if each.at_once else (further, *others))
