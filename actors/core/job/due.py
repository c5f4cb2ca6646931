"""What is due for one entity, from the state alone: the home acts at once, any node may later.

Rules of this file:
D1  Every decision is at(job or task), so terminal wins over any timer.
D2  `expires` and `total_timeout` count from the moment that the job's time comes (its trigger's, or
    the submission); `schedule_timeout` from the moment that an attempt became eligible.
D3  `total_timeout` of a running job asks for its end as a cancel does, with its own reason: nothing
    starts any more, the slots end what runs, and the job ends failed (timeout).
D4  `expires` holds until the first attempt; that of a fan-out names all its members in its checks,
    so that none starts beside it.
D5  In one view, `due` has a decision exactly from `due_at` on: an index that decides at that time
    and then asks for the next one is never late and never spins.
"""

from __future__ import annotations

import msgspec

from actors.core import buckets, permits, retry
from actors.core.job.accept import first_due_ms
from actors.core.job.cancel import cancel, flag
from actors.core.job.finish import lose, loss_due_at
from actors.core.job.states import move
from actors.core.job.work import Work, load_job, load_task, put
from actors.core.store.txn import Check, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.event import EventDraft
from actors.model.job import TERMINAL, Job, JobState, Task
from actors.model.spec import Concurrency

__all__ = ["due", "due_at"]


def due_at(view: View, key: str) -> int | None:
    """When an entity has something due next (Unix milliseconds), None when nothing is ahead.

    `key` is a job, a task, an attempt, an idempotency key or a closed bucket. A terminal job has
    nothing due here: `evict.Retention` orders these.
    """
    entry = view.get(key)
    if entry is None:
        return None
    match keys.kind(key):
        case "job":
            work = load_job(view, keys.last(key))
            return _job_due_at(view, work) if work is not None else None
        case "task":
            work = load_task(view, key)
            return _attempt_due_at(work) if work is not None else None
        case "attempt":
            return loss_due_at(view, key)
        case "idempotency":
            return int(entry.noun.expires_ms)
        case "closed":
            return buckets.due_at(key)
    return None


def due(view: View, key: str, *, now_ms: int, rand: float) -> Txn | None:
    """Return what is due for an entity now, or None. `rand` in [0, 1) is a retry's jitter."""
    entry = view.get(key)
    if entry is None:
        return None
    match keys.kind(key):
        case "job":
            work = load_job(view, keys.last(key))
            return _job_due(view, work, now_ms, rand) if work is not None else None
        case "task":
            work = load_task(view, key)
            return _attempt_due(view, work, now_ms, rand) if work is not None else None
        case "attempt":
            return lose(view, key, now_ms=now_ms, rand=rand)
        case "idempotency" if now_ms >= entry.noun.expires_ms:
            return Txn(checks=(at(key, entry.revision),), ops=((key, None),), now_ms=now_ms)
        case "closed":
            return buckets.compact(view, key, now_ms)
    return None


def _job_due_at(view: View, work: Work) -> int | None:
    job, spec = work.job, work.spec
    if job.state in TERMINAL:
        return None
    times = [_expires_at(view, work), _total_at(work)]
    if not spec.fanned_out or job.state == "scheduled":
        times.append(_attempt_due_at(work))
    if _limited(view, work, job.since_ms) or _admissible(view, work):
        times.append(job.since_ms)
    return min((time for time in times if time is not None), default=None)


def _job_due(view: View, work: Work, now_ms: int, rand: float) -> Txn | None:
    job = work.job
    if job.state in TERMINAL:
        return None
    if _is_due(_expires_at(view, work), now_ms):
        return _expire(view, work, now_ms)
    if _is_due(_total_at(work), now_ms):
        if job.state == "running":
            return flag(work.job_id, job, work.job_revision, "total_timeout", now_ms)
        return _end(work, "timeout", "failed", now_ms, "timeout", "total_timeout is over")
    limited = _limited(view, work, now_ms)
    if limited is not None:
        return limited
    if _admissible(view, work):
        return _eligible(work, "admit", now_ms)
    if work.spec.fanned_out and job.state != "scheduled":
        return None
    return _attempt_due(view, work, now_ms, rand)


def _is_due(time_ms: int | None, now_ms: int) -> bool:
    return time_ms is not None and now_ms >= time_ms


# -- scheduled and pending: the time of the next attempt has come, or it found no node in time


def _attempt_due_at(work: Work) -> int | None:
    record, timeout_ms = work.record, work.spec.schedule_timeout_ms
    if work.stopping:
        return None
    if record.state == "scheduled":
        return record.due_ms
    if record.state == "pending" and timeout_ms:
        return record.eligible_ms + timeout_ms
    return None


def _attempt_due(view: View, work: Work, now_ms: int, rand: float) -> Txn | None:
    record, spec = work.record, work.spec
    if not _is_due(_attempt_due_at(work), now_ms):
        return None
    if record.state == "scheduled":
        if spec.fanned_out or permits.first_full(view, spec) is None:
            return _eligible(work, "due", now_ms)
        waiting = move(record, "due", "waiting", now_ms=now_ms, due_ms=0, reason="concurrency")
        return _one(work, waiting, now_ms)
    fails, reason = record.fails + 1, "schedule_timeout"
    if not retry.may_retry(spec.retry, fails, reason, None):
        return _end(work, "timeout", "failed", now_ms, reason, "found no node in time", fails=fails)
    again = move(
        record,
        "retry",
        "scheduled",
        now_ms=now_ms,
        fails=fails,
        due_ms=now_ms + retry.delay_ms(spec.retry, fails, 0, rand),
        reason=reason,
    )
    told = work.event("retrying", attempt=record.n, reason=reason, due_ms=again.due_ms)
    return _one(work, again, now_ms, told)


# -- expires and total_timeout


def _expires_at(view: View, work: Work) -> int | None:
    job, spec = work.job, work.spec
    if not spec.expires_ms or job.n or job.cancel_ms:
        return None
    if spec.fanned_out and any(task.noun.n for _, task in view.scan(keys.tasks_of(work.job_id))):
        return None
    return first_due_ms(spec, job.submitted_ms) + spec.expires_ms


def _total_at(work: Work) -> int | None:
    if not work.spec.total_timeout_ms or work.job.cancel_ms:
        return None
    return first_due_ms(work.spec, work.job.submitted_ms) + work.spec.total_timeout_ms


def _expire(view: View, work: Work, now_ms: int) -> Txn:
    """D4: not started, or a fan-out of which no member started; then it ends as after a cancel."""
    if work.job.state != "running":
        return _end(work, "expire", "expired", now_ms, "expired", "not started in time")
    txn = flag(work.job_id, work.job, work.job_revision, "expired", now_ms)
    members = list(view.scan(keys.tasks_of(work.job_id)))
    unstarted: list[Check] = [at(key, entry.revision) for key, entry in members]
    if len(members) < work.spec.tasks:
        unstarted.append(absent(keys.task(work.job_id, len(members))))
    return msgspec.structs.replace(txn, checks=(*txn.checks, *unstarted))


# -- concurrency keys


def _admissible(view: View, work: Work) -> bool:
    return work.job.state == "waiting" and permits.first_full(view, work.spec) is None


def _limited(view: View, work: Work, now_ms: int) -> Txn | None:
    """What `on_limit` asks for while the job waits for a permit: end it, or end who holds it."""
    if work.job.state not in ("waiting", "pending"):
        return None
    full = permits.first_full(view, work.spec)
    if full is None or full.on_limit == "queue":
        return None
    if full.on_limit == "cancel_running":
        return _cancel_oldest(view, work, full, now_ms)
    target: JobState = "cancelled" if full.on_limit == "cancel_new" else "failed"
    return _end(work, "limit", target, now_ms, "concurrency", f"key {full.key} is in use")


def _cancel_oldest(view: View, work: Work, full: Concurrency, now_ms: int) -> Txn | None:
    """Cancel the oldest holder, if it is older than this job and no holder is on its way out."""
    older: list[tuple[int, str]] = []
    for permit in permits.holders(view, full):
        job_id, _, _ = keys.attempt_parts(permit.attempt)
        holder = view.get(keys.job(job_id))
        if holder is None or job_id == work.job_id:
            continue
        if holder.noun.cancel_ms:
            return None
        if holder.noun.submitted_ms <= work.job.submitted_ms:
            older.append((holder.noun.submitted_ms, job_id))
    return cancel(view, min(older)[1], "concurrency", now_ms) if older else None


# -- the transactions


def _eligible(work: Work, cause: str, now_ms: int) -> Txn:
    record = move(
        work.record,
        cause,
        "pending",
        now_ms=now_ms,
        due_ms=0,
        eligible_ms=now_ms,
        reason="",
        detail="",
    )
    return _one(work, record, now_ms)


def _end(
    work: Work,
    cause: str,
    target: JobState,
    now_ms: int,
    reason: str,
    detail: str,
    **changes: object,
) -> Txn:
    record = move(
        work.record, cause, target, now_ms=now_ms, reason=reason, detail=detail, **changes
    )
    return _one(work, record, now_ms, work.ended(record))


def _one(work: Work, record: Job | Task, now_ms: int, *events: EventDraft) -> Txn:
    return Txn(checks=work.checks(), ops=(put(work.key, record),), events=events, now_ms=now_ms)
