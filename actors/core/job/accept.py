"""Accept a job: the transaction of the node whose door took it.

Rules of this file:
A1  absent(job), absent(both buckets of its id): an id is accepted once, ever (R11, I-j).
A2  A client's idempotency key is put in the same transaction, under absent or, when the earlier
    use has run out, at its revision.
A3  Accept and claim may be one transaction (`claim_with`), of the checks of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from actors.core import buckets, permits
from actors.core.job.claim import Claimant, Wait, start
from actors.core.job.states import first
from actors.core.job.work import Work, event, put
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.cause import Cause
from actors.model.idempotency import IdempotencyKey
from actors.model.job import TERMINAL, Job, JobState
from actors.model.spec import JobSpec, Trigger

__all__ = ["KeyUse", "accept", "first_due_ms", "first_state", "retry_job"]


class KeyUse(NamedTuple):
    """One idempotency key of a submission: whose (a token's id, or `spec`), its hash, its life."""

    owner: str
    key_hash: str
    ttl_ms: int


def accept(
    view: View,
    spec: JobSpec,
    job_id: str,
    *,
    now_ms: int,
    principal: str,
    body_hash: str,
    idempotency: Sequence[KeyUse] = (),
    retry_of: str | None = None,
    trace: str = "",
    cause: Cause | None = None,
    run: str = "",
    step: str = "",
    claim_with: Claimant | None = None,
) -> Txn:
    """Return the transaction that accepts a job.

    `idempotency`: the client's own key, the spec's own key, both or none. `trace`: the traceparent
    of the request. `cause` is what started it, None for a request; `run` and `step` say of what it
    is a part. With `claim_with` the first attempt starts at once, if the job is eligible now and
    has no fan-out.
    """
    job_key, due_ms = keys.job(job_id), first_due_ms(spec, now_ms)
    state = first_state(view, spec, due_ms, now_ms)
    record = Job(
        state=first(Job, "accept", state),
        since_ms=now_ms,
        due_ms=due_ms if state == "scheduled" else 0,
        eligible_ms=now_ms if state == "pending" else 0,
        reason="concurrency" if state == "waiting" else "",
        name=spec.name,
        type=spec.type,
        submitted_ms=now_ms,
        tasks=spec.tasks,
        priority=spec.priority,
        labels=spec.labels,
        retry_of=retry_of,
        principal=principal,
        body_hash=body_hash,
        trace=trace,
        cause=cause,
        run=run,
        step=step,
    )
    fine, hour = buckets.buckets_of(job_id)
    checks: tuple[Check, ...] = (absent(job_key), absent(fine), absent(hour))
    ops: tuple[Op, ...] = (put(keys.spec(job_id), spec),)
    events = (event("job", "submitted", job_id, record, state=state),)
    for use in idempotency:
        check, op = _idempotent(view, use, job_id, body_hash, now_ms)
        checks, ops = (*checks, check), (*ops, op)
    if claim_with is not None and state == "pending" and not spec.fanned_out:
        work = Work(job_id, 0, job_key, 0, record, record, 0, spec)
        begin = start(view, work, claim_with, now_ms=now_ms)
        if not isinstance(begin, Wait):
            return Txn(checks + begin.checks, ops + begin.ops, events + begin.events, now_ms=now_ms)
    return Txn(checks, (*ops, put(job_key, record)), events, now_ms=now_ms)


def retry_job(
    view: View,
    job_id: str,
    new_id: str,
    *,
    now_ms: int,
    principal: str,
    body_hash: str,
    idempotency: Sequence[KeyUse] = (),
    trace: str = "",
) -> Txn | None:
    """Return the transaction that runs a terminal job again, at once, as a new job.

    None when the job is not in the view or not terminal. The new job has a copy of the spec, so
    `retry_of` is a name and no reference: the old record may be evicted under it (R10 has nothing
    to hold). at(job) makes the copy come of the job that the client saw.
    """
    old, spec = view.get(keys.job(job_id)), view.get(keys.spec(job_id))
    if old is None or spec is None or old.noun.state not in TERMINAL:
        return None
    txn = accept(
        view,
        msgspec.structs.replace(spec.noun, trigger=Trigger()),
        new_id,
        now_ms=now_ms,
        principal=principal,
        body_hash=body_hash,
        idempotency=idempotency,
        retry_of=job_id,
        trace=trace,
        cause=_retried(job_id, old.noun.cause),
    )
    checks = (*txn.checks, at(keys.job(job_id), old.revision))
    return msgspec.structs.replace(txn, checks=checks)


def _retried(job_id: str, behind: Cause | None) -> Cause:
    """A retry is where the job was in its chain."""
    return Cause("retry", job_id, behind.depth, behind.via) if behind else Cause("retry", job_id)


def first_due_ms(spec: JobSpec, submitted_ms: int) -> int:
    """When a job's time comes: its trigger's, or the moment it was submitted at."""
    trigger = spec.trigger
    return trigger.at_ms or submitted_ms + (trigger.delay_ms or 0)


def first_state(view: View, spec: JobSpec, due_ms: int, now_ms: int) -> JobState:
    """Return the state that a job of this spec, due then, is accepted in."""
    if due_ms > now_ms:
        return "scheduled"
    if not spec.fanned_out and permits.first_full(view, spec) is not None:
        return "waiting"
    return "pending"


def _idempotent(
    view: View, use: KeyUse, job_id: str, body_hash: str, now_ms: int
) -> tuple[Check, Op]:
    """A key in use conflicts by its absence check, and the door replays what it holds."""
    name = keys.idempotency(use.owner, use.key_hash)
    held = view.get(name)
    over = held is not None and held.noun.expires_ms <= now_ms
    check = at(name, held.revision) if held is not None and over else absent(name)
    return check, put(name, IdempotencyKey(job_id, body_hash, now_ms + use.ttl_ms))
