"""Start an attempt: the transaction of the scheduler of the node that will run it (R3).

Rules of this file:
C1  at(job), and at(task) for a task: a cancel or stop in between wins over the claim (I-f).
C2  absent(attempt) beside a number that never goes back: an attempt is claimed once (I-a).
C3  at(session/<node>): no claim of an ended session commits, so the slots that its node holds in
    the next session are what the state shows (I-k).
C4  absent(permit) for one free permit of each concurrency key (I-d).
"""

from __future__ import annotations

from typing import NamedTuple

from actors.core import permits
from actors.core.job.states import move
from actors.core.job.work import Work, load, put
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.event import EventDraft
from actors.model.job import Attempt, Permit
from actors.model.spec import Concurrency

__all__ = ["Claimant", "Start", "Wait", "claim", "start"]


class Claimant(NamedTuple):
    """Who claims: a node, its session as applied in its view, a slot, its job supervisor."""

    node: str
    session_revision: int
    slot: int
    supervisor: str


class Wait(NamedTuple):
    """Why an attempt can't start now: a word, and a sentence for a person."""

    reason: str
    detail: str


class Start(NamedTuple):
    """The part of a transaction that starts an attempt, besides at(job) and at(task)."""

    checks: tuple[Check, ...]
    ops: tuple[Op, ...]
    events: tuple[EventDraft, ...]


def claim(
    view: View,
    job_id: str,
    task_index: int,
    *,
    node: str,
    session_revision: int,
    slot: int,
    supervisor: str,
    now_ms: int,
) -> Txn | Wait:
    """Return the transaction that starts the next attempt, or why it has to wait."""
    work = load(view, job_id, task_index)
    if work is None:
        return Wait("gone", "the job is not in this node's view")
    if work.record.state != "pending":
        return Wait("state", f"it is {work.record.state}")
    if work.stopping:
        return Wait("stopping", "its end was asked for")
    claimant = Claimant(node, session_revision, slot, supervisor)
    begin = start(view, work, claimant, now_ms=now_ms)
    if isinstance(begin, Wait):
        return begin
    checks = work.checks()
    if work.spec.fanned_out:
        checks += (at(keys.job(job_id), work.job_revision),)
    return Txn(checks=checks + begin.checks, ops=begin.ops, events=begin.events, now_ms=now_ms)


def start(view: View, work: Work, claimant: Claimant, *, now_ms: int) -> Start | Wait:
    """Return what starts the next attempt of a pending record; `accept` joins it to its own."""
    taken = permits.take(view, work.spec)
    if isinstance(taken, Concurrency):
        return Wait("concurrency", f"key {taken.key}: all {taken.max} permits are in use")
    n = work.record.n + 1
    attempt = keys.attempt(work.job_id, work.task_index, n)
    session = keys.session(claimant.node)
    record = move(
        work.record,
        "claim",
        "running",
        now_ms=now_ms,
        n=n,
        reason="",
        detail="",
        started_ms=work.record.started_ms or now_ms,
    )
    held = Attempt(claimant.node, claimant.slot, claimant.supervisor, now_ms, tuple(taken))
    pairs = zip(taken, work.spec.concurrency, strict=True)
    return Start(
        checks=(
            absent(attempt),
            at(session, claimant.session_revision),
            *(absent(permit) for permit in taken),
        ),
        ops=(
            put(work.key, record),
            put(attempt, held),
            *(put(permit, Permit(concurrency.key, attempt)) for permit, concurrency in pairs),
        ),
        events=(work.event("started", attempt=n, node=claimant.node),),
    )
