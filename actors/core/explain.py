"""Why a job is where it is, as data: every decision not to act leaves its reason here.

`explain` reads the same view and calls the same functions as the decisions, so its words are what
the scheduler, the due index and the slots would decide at this moment. `forecast` is the same for a
job that is not submitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.core import permits, placement
from actors.core.job.accept import first_due_ms, first_state
from actors.core.job.due import due_at
from actors.core.job.finish import loss_due_at
from actors.core.job.work import Work, load, load_job
from actors.core.placement import NodeCapacity
from actors.core.schedule.times import next_ms
from actors.core.task_set import census
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL
from actors.model.spec import Concurrency, JobSpec

__all__ = ["explain", "forecast"]


def explain(
    view: View,
    job_id: str,
    nodes: Sequence[NodeCapacity],
    now_ms: int,
    *,
    ahead: int | None = None,
) -> dict[str, Any] | None:
    """Return why a job is not running, or what it does; None when it is not in the view.

    `{job, state, reason, detail, since_ms, reasons: [{code, message, ...}]}`, with the `cause` of a
    job that no request made, the reasons in the
    order in which a person would look at them; `nodes` lists what each node lacks. `ahead` is the
    number of better entries of the pending queue. Times are Unix milliseconds.
    """
    work = load_job(view, job_id)
    if work is None:
        return None
    job = work.job
    answer: dict[str, Any] = {
        "job": job_id,
        "state": job.state,
        "reason": job.reason,
        "detail": job.detail,
        "since_ms": job.since_ms,
    }
    if job.cause is not None:
        answer["cause"] = msgspec.structs.asdict(job.cause)
    if job.cancel_ms and job.state not in TERMINAL:
        asked = f"its end was asked for ({job.cancel_reason}); waiting for its processes to end"
        return answer | {"reasons": [_reason("stopping", asked, since_ms=job.cancel_ms)]}
    match job.state:
        case "scheduled":
            reasons = [_until(work, job.due_ms)]
        case "waiting":
            reasons = list(_concurrency(view, work.spec))
        case "pending" if not work.spec.fanned_out:
            reasons, answer["nodes"] = _pending(view, work.spec, nodes, ahead)
        case "running" if work.spec.fanned_out:
            reasons, answer["nodes"] = _fan_out(view, work, nodes, ahead)
        case "pending":
            reasons = [_reason("fan_out", "its first tasks are about to be made")]
        case "running":
            reasons = list(_lost(view, job_id))
        case _:
            reasons = []
    timer = due_at(view, keys.job(job_id))
    if timer is not None:
        answer["next_due_ms"] = max(timer, now_ms)
    return answer | {"reasons": reasons}


def forecast(
    view: View, spec: JobSpec, nodes: Sequence[NodeCapacity], now_ms: int
) -> dict[str, Any]:
    """Return what would become of a job with this spec, were it submitted now.

    `{state, due_ms, reasons, nodes}`: the state it would be accepted in, when its time comes, what
    it would wait for, and what each node lacks for it. Times are Unix milliseconds.
    """
    due_ms = _next_due_ms(spec, now_ms)
    state = first_state(view, spec, due_ms, now_ms)
    reasons, lacking = _pending(view, spec, nodes, None)
    if reasons[0]["code"] == "starting":
        reasons = [_reason("starting", "a node would claim it at once")]
    if state == "scheduled":
        until = _reason("trigger", "waits until its time comes", due_ms=due_ms)
        reasons = [until, *(reason for reason in reasons if reason["code"] != "starting")]
    return {"state": state, "due_ms": due_ms, "reasons": reasons, "nodes": lacking}


def _next_due_ms(spec: JobSpec, now_ms: int) -> int:
    recurrence = spec.trigger.recurrence
    if recurrence is None:
        return first_due_ms(spec, now_ms)
    return next_ms(recurrence, spec.name, now_ms) or now_ms


def _reason(code: str, message: str, **data: Any) -> dict[str, Any]:
    return {"code": code, "message": message, **data}


def _until(work: Work, due_ms: int) -> dict[str, Any]:
    if work.record.fails:
        text = f"waits to try again after failure {work.record.fails} ({work.record.reason})"
        return _reason("backoff", text, due_ms=due_ms)
    return _reason("trigger", "waits until its time comes", due_ms=due_ms)


def _concurrency(view: View, spec: JobSpec) -> Iterable[dict[str, Any]]:
    """The first full key only: the rest is not looked at before it is free."""
    full = permits.first_full(view, spec)
    if full is not None:
        yield _full(view, full)


def _full(view: View, full: Concurrency) -> dict[str, Any]:
    held = [keys.attempt_parts(permit.attempt)[0] for permit in permits.holders(view, full)]
    text = f"concurrency key {full.key}: {len(held)} of {full.max} in use by {_names(held)}"
    return _reason("concurrency", text, key=full.key, max=full.max, holders=held)


def _pending(
    view: View, spec: JobSpec, nodes: Sequence[NodeCapacity], ahead: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    reasons = list(_concurrency(view, spec))
    lacking = [*(_node(view, spec, node) for node in nodes), *_unheard(view, nodes)]
    if not any(spec.type in node.executors for node in nodes):
        text = f"no executor for this type ({spec.type}) on any node"
        reasons.append(_reason("executor", text))
    elif all(node["reasons"] for node in lacking):
        forever = all(any(r["permanent"] for r in node["reasons"]) for node in lacking)
        text = "no node takes such a job" if forever else "no node has room for it now"
        reasons.append(_reason("no_node" if forever else "no_room", text))
    if ahead:
        reasons.append(_reason("queue", f"behind {ahead} jobs of higher priority", ahead=ahead))
    if not reasons:
        reasons.append(_reason("starting", "a node is about to claim it"))
    return reasons, lacking


def _fan_out(
    view: View, work: Work, nodes: Sequence[NodeCapacity], ahead: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What its tasks do, and why the first one that waits for a slot does."""
    members = census(view, work.job_id)
    states = {state: count for state, count in sorted(members.states.items()) if count}
    parts = [f"{count} {state}" for state, count in states.items()]
    text = f"{members.made} of {work.spec.tasks} tasks made: {', '.join(parts) or 'none'}"
    reasons = [_reason("tasks", text, tasks=states)]
    for key, entry in view.scan(keys.tasks_of(work.job_id)):
        if entry.noun.state == "pending":
            task = load(view, work.job_id, int(keys.last(key)))
            assert task is not None, "a task in the view has its job"
            more, lacking = _pending(view, task.spec, nodes, ahead)
            return reasons + more, lacking
    return reasons, []


def _lost(view: View, job_id: str) -> Iterable[dict[str, Any]]:
    """An attempt of a node that the others have given up, until its loss is handled."""
    for key, entry in view.scan(keys.attempts_of(job_id)):
        session = view.get(keys.session(entry.noun.node))
        if session is not None and session.noun.state == "lost":
            name = session.noun.name or entry.noun.node
            text = f"its node {name} is lost: it may come back until its node_lost.wait is over"
            due_ms = loss_due_at(view, key)
            yield _reason("node_lost", text, node=entry.noun.node, due_ms=due_ms)


def _unheard(view: View, nodes: Sequence[NodeCapacity]) -> Iterable[dict[str, Any]]:
    """The nodes that the store knows and that say nothing of themselves now."""
    heard = {node.node for node in nodes}
    for key, entry in view.scan("session/"):
        node, session = keys.last(key), entry.noun
        if node not in heard and session.state != "left":
            text = "it is lost" if session.state == "lost" else "it is not heard"
            reasons = [_reason("unheard", text, permanent=False)]
            yield {"node": node, "name": session.name, "reasons": reasons}


def _node(view: View, spec: JobSpec, node: NodeCapacity) -> dict[str, Any]:
    reasons = []
    for reason in placement.feasible(spec, node):
        message = reason.message
        if reason.code in ("cpu", "memory", "slots") and not reason.permanent:
            holders = _holders(view, node.node, reason.code)
            message += f" (held by {_names(holders)})" if holders else ""
        reasons.append(_reason(reason.code, message, permanent=reason.permanent))
    return {"node": node.node, "name": node.name, "reasons": reasons}


def _holders(view: View, node: str, what: str) -> list[str]:
    """The jobs whose attempts hold a node's slots, cpu or memory."""
    holders = []
    for key, entry in view.scan("attempt/"):
        if entry.noun.node != node:
            continue
        work = load_job(view, keys.attempt_parts(key)[0])
        if work is None:
            continue
        asked = work.spec.resources
        if what == "slots" or (asked.cpu_milli if what == "cpu" else asked.memory_bytes):
            holders.append(work.job_id)
    return holders


def _names(jobs: Sequence[str]) -> str:
    """Name the first three jobs and count the rest."""
    shown = ", ".join(f"job {job_id}" for job_id in jobs[:3]) or "none"
    return shown if len(jobs) <= 3 else f"{shown} and {len(jobs) - 3} more"
