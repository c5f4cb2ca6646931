"""What becomes of a step once its job, its sub-run, its members or its gate have come to an end."""

from __future__ import annotations

from actors.core.dag.draft import Draft
from actors.core.dag.standing import Census
from actors.core.dag.states import move_step
from actors.core.dag.step_start import needed_of
from actors.core.job.work import brief
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL
from actors.model.pipeline import StepSpec
from actors.model.run import RUN_TERMINAL, Step, StepState

__all__ = ["end_of_map", "end_of_step", "is_hopeless"]


def end_of_step(view: View, spec: StepSpec, step: Step, now_ms: int) -> Step | None:
    """Return the record of a step or member that has come to its end, None while it has not."""
    if step.state == "waiting":
        return _timed_out(spec, step, now_ms)
    if step.job:
        return _by_job(view, step, now_ms)
    return _by_run(view, step, now_ms)


def _by_job(view: View, step: Step, now_ms: int) -> Step | None:
    entry = view.get(keys.job(step.job))
    if entry is None:  # deleted by hand: nobody will ever say what became of it
        return _finish(step, "failed", now_ms, "gone", f"job {step.job} is not there any more")
    job = entry.noun
    if job.state not in TERMINAL:
        return None
    state: StepState = "failed" if job.state == "expired" else job.state
    return _finish(step, state, now_ms, job.reason, job.detail)


def _by_run(view: View, step: Step, now_ms: int) -> Step | None:
    entry = view.get(keys.run(step.run))
    if entry is None:
        return _finish(step, "failed", now_ms, "gone", f"run {step.run} is not there any more")
    run = entry.noun
    if run.state not in RUN_TERMINAL:
        return None
    warned = run.state == "succeeded_with_warnings"
    state: StepState = "succeeded" if warned else run.state
    return _finish(step, state, now_ms, run.reason, run.detail, warned=warned)


def _finish(
    step: Step, state: StepState, now_ms: int, reason: str, detail: str, *, warned: bool = False
) -> Step:
    return move_step(
        step,
        "finish",
        state,
        now_ms=now_ms,
        reason=reason,
        detail=brief(detail),
        warned=warned,
    )


def _timed_out(spec: StepSpec, step: Step, now_ms: int) -> Step | None:
    if not step.due_ms or now_ms < step.due_ms:
        return None
    assert spec.gate is not None, "only a gate waits"
    target: StepState = "succeeded" if spec.gate.on_timeout == "approve" else "failed"
    detail = f"nobody answered in time: {spec.gate.on_timeout}"
    return move_step(
        step, "timeout", target, now_ms=now_ms, reason="gate_timeout", detail=detail, due_ms=0
    )


# -- maps


def is_hopeless(spec: StepSpec, step: Step, census: Census) -> bool:
    """Say whether so many members failed that what is needed is out of reach: none is made then."""
    failed = census.states["failed"] + census.states["cancelled"]
    return failed > step.members - needed_of(spec, step.members)


def end_of_map(draft: Draft, name: str, step: Step, *, stopped: bool) -> Step | None:
    """Return the record of a mapped step of which nothing is open, None while there is more."""
    spec, census = draft.plan.graph.nodes[name].spec, draft.census(name)
    over = stopped or is_hopeless(spec, step, census)
    if census.open or (census.made < step.members and not over):
        return None
    succeeded, needed = census.states["succeeded"], needed_of(spec, step.members)
    detail = f"{succeeded} of {step.members} items succeeded, {needed} needed"
    state: StepState = "succeeded" if succeeded >= needed else "failed"
    if stopped and state == "failed":
        state = "cancelled"
    warned = state == "succeeded" and census.warned > 0
    return _finish(step, state, draft.now_ms, "map", detail, warned=warned)
