"""A fan-out: its members in index order, its stop, its end (R9).

Rules of this file:
T1  Members are created contiguously under absent(each new one) and at(job). Terminal is terminal,
    so a late view only sees too many open: `open <= parallelism` holds under any lag (I-e).
T2  The first such transaction makes the job `running`; claims never write it.
T3  fail_fast: once so many failed that min_success is out of reach, at(job) puts `stop`.
T4  With a stop or a cancel: no new members, what does not run is cancelled, the slots end the rest.
T5  The job ends at(job) when no member is open and all exist, or a stop or cancel ended the making.
"""

from __future__ import annotations

import msgspec

from actors import limits
from actors.core.job.states import first, move
from actors.core.job.work import Work, load_job, put
from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL, Job, Task

__all__ = ["Census", "advance", "census"]


class Census:
    """How many members there are, by state; kept up from the feed, or counted from a view."""

    def __init__(self) -> None:
        self.states: dict[str, int] = {}

    def moved(self, before: Task | None, after: Task) -> None:
        """Take in one change of a member; `before` is None for a new one."""
        if before is not None:
            self.states[before.state] -= 1
        self.states[after.state] = self.states.get(after.state, 0) + 1

    @property
    def made(self) -> int:
        """Members that exist."""
        return sum(self.states.values())

    @property
    def open(self) -> int:
        """Members that are not terminal."""
        return sum(count for state, count in self.states.items() if state not in TERMINAL)

    def of(self, state: str) -> int:
        """Members in a state."""
        return self.states.get(state, 0)


def census(view: View, job_id: str) -> Census:
    """Count the members of a fan-out in a view."""
    counted = Census()
    for _, entry in view.scan(keys.tasks_of(job_id)):
        counted.moved(None, entry.noun)
    return counted


def advance(view: View, job_id: str, now_ms: int, members: Census | None = None) -> Txn | None:
    """Return the next transaction of a fan-out, None while there is nothing to do.

    `members` is the census of this very view, if the caller keeps one; else they are counted.
    """
    work = load_job(view, job_id)
    if work is None or not work.spec.fanned_out or work.job.state not in ("pending", "running"):
        return None
    spec = work.spec
    counted = members if members is not None else census(view, job_id)
    if work.stopping:
        txn = _cancel_members(view, work, now_ms)
        if txn is not None or counted.open:
            return txn
        return _end(work, counted, now_ms)
    failed = counted.made - counted.open - counted.of("succeeded")
    if spec.fail_fast and counted.open and failed > spec.tasks - spec.needed:
        stop = msgspec.structs.replace(work.job, stop=True)
        return Txn(work.checks(), (put(work.key, stop),), now_ms=now_ms)
    if counted.made < spec.tasks:
        room = (spec.parallelism or spec.tasks) - counted.open
        return _make_members(work, counted.made, room, now_ms) if room > 0 else None
    return None if counted.open else _end(work, counted, now_ms)


def _make_members(work: Work, made: int, room: int, now_ms: int) -> Txn:
    """T1, T2."""
    count = min(room, work.spec.tasks - made, limits.MEMBERS_PER_TXN)
    new = [keys.task(work.job_id, index) for index in range(made, made + count)]
    member = Task(state=first(Task, "fan_out", "pending"), since_ms=now_ms, eligible_ms=now_ms)
    checks = (*work.checks(), *(absent(key) for key in new))
    ops = tuple(put(key, member) for key in new)
    if work.job.state == "running":
        return Txn(checks, ops, now_ms=now_ms)
    job = move(work.job, "fan_out", "running", now_ms=now_ms, started_ms=now_ms)
    return Txn(checks, (put(work.key, job), *ops), (work.event("started", attempt=0),), now_ms)


def _cancel_members(view: View, work: Work, now_ms: int) -> Txn | None:
    """T4: cancel members that wait, as many as a transaction takes."""
    reason = "cancelled" if work.job.cancel_ms else "fail_fast"
    checks, ops, events = [], [], []
    for key, entry in view.scan(keys.tasks_of(work.job_id)):
        if entry.noun.state not in ("pending", "scheduled"):
            continue
        ended = move(entry.noun, "cancel", "cancelled", now_ms=now_ms, reason=reason)
        task = work._replace(record=ended, task_index=int(keys.last(key)))
        checks.append(at(key, entry.revision))
        ops.append(put(key, ended))
        events.append(task.ended(ended))
        if len(ops) == limits.MEMBERS_PER_TXN:
            break
    return Txn(tuple(checks), tuple(ops), tuple(events), now_ms) if ops else None


def _end(work: Work, members: Census, now_ms: int) -> Txn:
    """T5: what the job ends as. A cancel counts only if it kept a member from its own end."""
    spec, succeeded = work.spec, members.of("succeeded")
    cut_short = members.made < spec.tasks or members.of("cancelled") > 0
    detail = f"{succeeded} of {spec.tasks} tasks succeeded, {spec.needed} needed"
    if not cut_short and succeeded >= spec.needed:
        job = move(work.job, "succeed", "succeeded", now_ms=now_ms, reason="tasks", detail=detail)
    elif work.job.cancel_ms and cut_short:
        job = _end_as_asked(work.job, now_ms)
    else:
        job = move(work.job, "fail", "failed", now_ms=now_ms, reason="tasks", detail=detail)
    return Txn(work.checks(), (put(work.key, job),), (work.ended(job),), now_ms)


def _end_as_asked(job: Job, now_ms: int) -> Job:
    match job.cancel_reason:
        case "expired":
            return move(job, "expire", "expired", now_ms=now_ms, reason="expired")
        case "total_timeout":
            return move(job, "timeout", "failed", now_ms=now_ms, reason="timeout")
    detail = job.cancel_reason
    return move(job, "cancel", "cancelled", now_ms=now_ms, reason="cancelled", detail=detail)
