"""End an attempt: finish, loss, and what follows an attempt (R5, R7).

Rules of this file:
F1  at(attempt, fence) and at(job or task): without the first a superseded attempt ends another's
    work (I-b), without the second a cancel is overwritten (I-f).
F2  The attempt and its permits go in the same transaction (I-d).
F3  One function, `after_attempt`, says what follows, for finish, retry and loss alike. While a stop
    is asked for nothing leads back to scheduled, waiting or pending (I-f).
F4  An attempt of a node whose session is up is ended by that node only (I-l); of a lost one by any
    node, at(session/<node>, lost), so that a return ends the loss.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors import limits
from actors.core import retry
from actors.core.job.states import ATTEMPT, move
from actors.core.job.work import Work, brief, load, put
from actors.core.store.txn import Check, Op, Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.event import EventDraft
from actors.model.job import TERMINAL, Attempt, Job, Outcome, Output, Summary, Task

__all__ = [
    "LOST",
    "Ending",
    "after_attempt",
    "finish",
    "lose",
    "loss_due_at",
    "lost_by_own_node",
    "stopped",
]

_OUTCOMES = frozenset(row.target for row in ATTEMPT if row.source == "running")


class Ending(NamedTuple):
    """What became of an attempt; `cancelled` is one that was killed on request.

    `preempted` was killed to make room: it starts anew, and nothing is counted.
    """

    outcome: Outcome
    reason: str
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    cpu_ms: int = 0
    max_rss_bytes: int = 0
    output: Output | None = None


LOST = Ending("lost", "node_lost")


def finish(view: View, attempt_key: str, ending: Ending, *, now_ms: int, rand: float) -> Txn | None:
    """Return the transaction that ends an attempt of this node.

    None when the attempt is superseded: it is not in the view any more. `rand` in [0, 1) is the
    retry's jitter.
    """
    return _end(view, attempt_key, ending, (), now_ms=now_ms, rand=rand)


def lost_by_own_node(view: View, attempt_key: str, *, now_ms: int, rand: float) -> Txn | None:
    """End an attempt of a dead job supervisor, its processes ended before: lost, without `wait`."""
    ending = LOST._replace(detail="its job supervisor died")
    return _end(view, attempt_key, ending, (), now_ms=now_ms, rand=rand)


def lose(view: View, attempt_key: str, *, now_ms: int, rand: float) -> Txn | None:
    """End an attempt whose node's session is lost in this view, once `node_lost.wait` is over.

    None while it is not due, and when the attempt is not in the view.
    """
    due_ms = loss_due_at(view, attempt_key)
    if due_ms is None or now_ms < due_ms:
        return None
    attempt = view.get(attempt_key)
    assert attempt is not None, "what is due is in the view"
    session_key = keys.session(attempt.noun.node)
    session = view.get(session_key)
    assert session is not None, "what is due has a lost session"
    ending = LOST._replace(detail=f"node {session.noun.name or attempt.noun.node} was lost")
    lost_still = at(session_key, session.revision)
    return _end(view, attempt_key, ending, (lost_still,), now_ms=now_ms, rand=rand)


def loss_due_at(view: View, attempt_key: str) -> int | None:
    """When an attempt's loss is to be handled; None while its node's session is up.

    A node leaves without attempts, but a claim may have been under way: that one is lost as well.
    `wait` counts from the stamp in the session record; with a stop asked for it is over at once.
    """
    attempt = view.get(attempt_key)
    if attempt is None:
        return None
    session = view.get(keys.session(attempt.noun.node))
    if session is None or session.noun.state == "up":
        return None
    job_id, index, _ = keys.attempt_parts(attempt_key)
    work = load(view, job_id, index)
    assert work is not None, "an attempt has its job and spec (I-h)"
    wait_ms = 0 if work.stopping else work.spec.node_lost.wait_ms
    return int(session.noun.since_ms) + wait_ms


def after_attempt(work: Work, summary: Summary, *, now_ms: int, rand: float) -> Job | Task:
    """Return the record after an attempt ended (R7)."""
    record, spec = work.record, work.spec
    last = (*record.last, summary)[-limits.ATTEMPT_SUMMARIES :]
    why: dict[str, Any] = {"reason": summary.reason, "detail": summary.detail, "last": last}
    if summary.outcome == "succeeded":
        return move(record, "succeed", "succeeded", now_ms=now_ms, **why)
    if work.stopping and summary.outcome in ("cancelled", "lost", "preempted"):
        return stopped(work, now_ms=now_ms, last=last)
    if summary.outcome == "preempted":
        return move(record, "requeue", "pending", now_ms=now_ms, eligible_ms=now_ms, **why)
    if (
        summary.outcome == "lost"
        and spec.node_lost.then == "requeue"
        and record.requeues < limits.REQUEUES
    ):
        why |= {"requeues": record.requeues + 1, "eligible_ms": now_ms}
        return move(record, "requeue", "pending", now_ms=now_ms, **why)
    fails = record.fails + 1
    if retry.may_retry(spec.retry, fails, summary.reason, summary.exit_code):
        if work.stopping:
            return stopped(work, now_ms=now_ms, fails=fails, last=last)
        waited = summary.started_ms - record.last[-1].ended_ms if record.last else 0
        due_ms = now_ms + retry.delay_ms(spec.retry, fails, waited, rand)
        return move(record, "retry", "scheduled", now_ms=now_ms, fails=fails, due_ms=due_ms, **why)
    return move(record, "fail", "failed", now_ms=now_ms, fails=fails, **why)


def stopped(work: Work, *, now_ms: int, **changes: object) -> Job | Task:
    """Return the record ended by what asked it to stop: cancelled, or failed by total_timeout."""
    job = work.job
    if isinstance(work.record, Job) and job.cancel_reason == "total_timeout":
        return move(work.record, "timeout", "failed", now_ms=now_ms, reason="timeout", **changes)
    reason = "cancelled" if job.cancel_ms else "fail_fast"
    changes = {"reason": reason, "detail": job.cancel_reason, **changes}
    return move(work.record, "cancel", "cancelled", now_ms=now_ms, **changes)


def _end(
    view: View,
    attempt_key: str,
    ending: Ending,
    extra: tuple[Check, ...],
    *,
    now_ms: int,
    rand: float,
) -> Txn | None:
    entry = view.get(attempt_key)
    if entry is None:
        return None
    assert ending.outcome in _OUTCOMES, f"an attempt does not end {ending.outcome}"
    ending = ending._replace(reason=brief(ending.reason), detail=brief(ending.detail))
    job_id, index, n = keys.attempt_parts(attempt_key)
    work = load(view, job_id, index)
    assert work is not None, "an attempt has its job and spec (I-h)"
    assert work.record.state == "running" and work.record.n == n, "running is one attempt (I-h)"
    attempt: Attempt = entry.noun
    record = after_attempt(work, _summary(n, attempt, ending, now_ms), now_ms=now_ms, rand=rand)
    ops: list[Op] = [(attempt_key, None), *((permit, None) for permit in attempt.permits)]
    if record.state == "succeeded" and ending.output is not None:
        ops.append(put(keys.output(job_id, index), ending.output))
    return Txn(
        checks=(*extra, at(attempt_key, entry.revision), *work.checks()),
        ops=(*ops, put(work.key, record)),
        events=(_event(work, record, n, ending),),
        now_ms=now_ms,
    )


def _summary(n: int, attempt: Attempt, ending: Ending, now_ms: int) -> Summary:
    return Summary(
        n=n,
        outcome=ending.outcome,
        reason=ending.reason,
        node=attempt.node,
        started_ms=attempt.started_ms,
        ended_ms=now_ms,
        exit_code=ending.exit_code,
        signal=ending.signal,
        detail=ending.detail,
        cpu_ms=ending.cpu_ms,
        max_rss_bytes=ending.max_rss_bytes,
    )


def _event(work: Work, record: Job | Task, n: int, ending: Ending) -> EventDraft:
    data: dict[str, object] = {"attempt": n}
    if ending.exit_code is not None:
        data["exit_code"] = ending.exit_code
    if record.state in TERMINAL:
        return work.ended(record, **data)
    due_ms = record.due_ms if record.state == "scheduled" else record.eligible_ms
    return work.event("retrying", reason=record.reason, due_ms=due_ms, **data)
