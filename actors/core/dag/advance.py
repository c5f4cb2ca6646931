"""Advance a run: one conditional transaction from what has happened to what follows.

Rules of this file:
V1  Everything rests on at(run): a stop, put by anybody, wins over what was decided without it.
V2  Steps that have ended are taken in first, and what they make ready starts in the same
    transaction: one commit lies between the end of a job and the job behind it.
V3  Terminal is terminal: a run ends when no step of it is open, and nothing changes it afterwards.
V4  A stop leaves nothing to come: what has not started is cancelled, what runs is asked to end. The
    steps of `finally` begin all the same, until a second stop asks for their end too.
V5  A transaction is bounded (ADVANCE_OPS, ADVANCE_BYTES); the next one finds what is left.

Invariants that the model checker holds (`tests/sim/pipelines`): I1 a step or member has at most one
job or sub-run, ever; I2 no step starts before what it waits for has ended; I3 each step comes to
what the oracle says; I4 a terminal record never changes; I5 nothing starts after a stop but
`finally`; I6 when a run has ended, each of its steps has, and none of its jobs is open; I7 a run
whose jobs end, ends; I8 at most `max` runs of a limit go; I9 no transaction is over its bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.core.dag.definition import plan_of
from actors.core.dag.draft import Draft
from actors.core.dag.end import end_run
from actors.core.dag.limit import admit
from actors.core.dag.rerun import reusable
from actors.core.dag.standing import Standing, standing_of
from actors.core.dag.states import first_step, move_step
from actors.core.dag.step_end import end_of_map, end_of_step, is_hopeless
from actors.core.dag.step_start import grow, start_step
from actors.core.dag.stop import TIMEOUT, asked_to_stop, stop
from actors.core.job.cancel import cancel
from actors.core.store.txn import Txn
from actors.core.view import View
from actors.model import keys
from actors.model.run import RUN_TERMINAL, STEP_TERMINAL, Step

__all__ = ["advance"]


def advance(
    view: View,
    run_id: str,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    standing: Standing | None = None,
) -> Txn | None:
    """Return the next transaction of a run, None while there is nothing to do.

    `standing` is that of this very view, if the caller keeps one; else it is read. `new_id` mints
    ids of jobs and sub-runs.
    """
    entry = view.get(keys.run(run_id))
    if entry is None or entry.noun.state in RUN_TERMINAL:
        return None
    plan = plan_of(view, entry.noun.definition)
    assert plan is not None, "a run keeps its definition"
    if standing is None:
        standing = standing_of(view, run_id)
    if standing.reuse is None:
        standing.reuse = reusable(view, entry.noun, plan.graph)
    draft = Draft(view, run_id, plan, standing, now_ms=now_ms, new_id=new_id)
    if draft.run.state == "pending" and not admit(draft):
        return None if draft.is_empty else draft.txn()
    _time_out(draft)
    _take_ends(draft)
    _go_on(draft, standing.reuse)
    return None if draft.is_empty else draft.txn()


def _time_out(draft: Draft) -> None:
    """Ask for the end of a run whose time is over, as a cancel would."""
    timeout_ms = draft.plan.spec.timeout_ms
    if timeout_ms and not draft.run.stop_ms and draft.now_ms >= draft.run.started_ms + timeout_ms:
        asked = asked_to_stop(draft.run, TIMEOUT, draft.now_ms)
        assert asked is not None, "an open run can be asked to end"
        draft.put_run(asked)


def _is_stopped(draft: Draft, name: str) -> bool:
    is_final = draft.plan.graph.nodes[name].spec.is_final
    return draft.run.stop_finally if is_final else draft.run.stop_ms > 0


# -- what has ended


def _take_ends(draft: Draft) -> None:
    """Take in what has ended, and have maps go on (V2)."""
    for name, step in list(draft.steps.items()):
        if draft.is_full:
            return
        if step.state in STEP_TERMINAL:
            continue
        if step.members >= 0:
            _take_members(draft, name, step)
            continue
        spec = draft.plan.graph.nodes[name].spec
        ended = end_of_step(draft.view, spec, step, draft.now_ms)
        if ended is not None:
            draft.put_step(name, ended)


def _take_members(draft: Draft, name: str, step: Step) -> None:
    spec, census = draft.plan.graph.nodes[name].spec, draft.census(name)
    for index, member in list(census.open.items()):
        if draft.is_full:
            return
        ended = end_of_step(draft.view, spec, member, draft.now_ms)
        if ended is not None:
            draft.put_step(name, ended, index)
    stopped = _is_stopped(draft, name)
    if not stopped and not is_hopeless(spec, step, census):
        grow(draft, name)
    over = end_of_map(draft, name, draft.steps[name], stopped=stopped)
    if over is not None:
        draft.put_step(name, over)


# -- what follows


def _go_on(draft: Draft, reuse: dict[str, Step]) -> None:
    """Start what is ready, first of the main steps, then of `finally`; then end the run."""
    if draft.run.stop_ms:
        _end_open(draft)
    graph = draft.plan.graph
    for names in (graph.main, graph.final):
        _start_ready(draft, names, reuse)
        if draft.is_full or not all(draft.has_ended(name) for name in names):
            return
    end_run(draft)


def _start_ready(draft: Draft, names: Iterable[str], reuse: dict[str, Step]) -> None:
    """Start each step that all it waits for has ended; in this order one pass finds them all."""
    for name in names:
        if name in draft.steps:
            continue
        if draft.is_full:
            return
        node = draft.plan.graph.nodes[name]
        if _is_stopped(draft, name):
            state = first_step("cancel", "cancelled")
            why = draft.run.stop_reason
            step = Step(state=state, since_ms=draft.now_ms, reason="stopped", detail=why)
            draft.put_step(name, step)
        elif name in reuse:
            draft.put_step(name, reuse[name])
        elif all(draft.has_ended(waited) for waited in node.waits_for):
            start_step(draft, node)


def _end_open(draft: Draft) -> None:
    """Have what runs of a stopped run end (V4), as much of it as a transaction takes."""
    for name, step in list(draft.steps.items()):
        if step.state in STEP_TERMINAL or not _is_stopped(draft, name):
            continue
        if step.members >= 0:
            for member in list(draft.census(name).open.values()):
                _end_work(draft, member)
        elif step.state == "waiting":
            why = draft.run.stop_reason
            draft.put_step(
                name,
                move_step(
                    step, "cancel", "cancelled", now_ms=draft.now_ms, reason="stopped", detail=why
                ),
            )
        else:
            _end_work(draft, step)


def _end_work(draft: Draft, step: Step) -> None:
    if draft.is_full:
        return
    reason = draft.run.stop_reason
    again = draft.run.stop_finally
    if step.job:
        txn = cancel(draft.view, step.job, f"run {draft.run_id}: {reason}", draft.now_ms)
    else:
        txn = stop(draft.view, step.run, reason, draft.now_ms, again=again)
    if txn is not None:
        draft.merge(txn)
