"""How pipelines, runs and steps look on the wire, made from their records."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import msgspec

from actors.core import dag
from actors.core.pipeline_spec import written_form
from actors.core.view import Entry, View
from actors.errors import NotFound
from actors.model import keys
from actors.model.ids import is_id
from actors.model.pipeline import Pipeline, StepSpec
from actors.model.run import RUN_TERMINAL, STEP_TERMINAL, Run, RunState, Step
from jobd.api.stamp import Stamp, stamp, stamp_or_none

__all__ = [
    "PipelineDetail",
    "PipelineView",
    "RunDetail",
    "RunView",
    "StepView",
    "find_pipeline",
    "find_run",
    "pipeline_detail",
    "pipeline_view",
    "run_detail",
    "run_view",
]

ShownState = Literal[
    "pending",
    "running",
    "waiting",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
    "omitted",
]


class PipelineView(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline as it is listed. `steps` is how many it has."""

    name: str
    revision: int
    steps: int
    labels: dict[str, str]
    definition: str
    updated_at: Stamp
    updated_by: str
    warnings: list[str]


class PipelineDetail(PipelineView, frozen=True, kw_only=True):
    """A pipeline with its spec, as a user would write it."""

    spec: dict[str, Any]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run.

    `pending` waits for others. `kind` is job, pipeline or gate. `items` counts the members of a map
    by state. `continued`: it did not succeed, and what needs it runs all the same. `reused` names
    the run that did it.
    """

    name: str
    state: ShownState
    kind: Literal["job", "pipeline", "gate"]
    needs: list[str]
    is_final: bool
    reason: str
    detail: str
    job: str | None
    run: str | None
    started_at: Stamp | None
    finished_at: Stamp | None
    due_at: Stamp | None
    items: dict[str, int] | None
    continued: bool
    reused: str | None
    answered_by: str | None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is listed. `steps` counts its steps by state."""

    id: str
    pipeline: str
    state: RunState
    reason: str
    detail: str
    created_at: Stamp
    started_at: Stamp | None
    finished_at: Stamp | None
    stop_requested: bool
    steps: dict[str, int]
    labels: dict[str, str]
    parent_run: str | None
    rerun_from: str | None
    of_run: str | None
    of_step: str | None
    cause: dict[str, Any] | None
    revision: int


class RunDetail(RunView, frozen=True, kw_only=True):
    """A run with its inputs, outputs and steps, in the order of the pipeline's text."""

    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    definition: str
    pipeline_revision: int
    graph: list[StepView]


def find_pipeline(view: View, name: str) -> Entry:
    """Return the entry of a pipeline. Raises NotFound."""
    entry = view.get(keys.pipeline(name))
    if entry is None:
        raise NotFound(f"no pipeline {name!r}", remedy="`jobctl pipeline list` shows them.")
    return entry


def find_run(view: View, run_id: str) -> Entry:
    """Return the entry of a run. Raises NotFound."""
    entry = view.get(keys.run(run_id)) if is_id(run_id) else None
    if entry is None:
        raise NotFound(f"no run {run_id!r}", remedy="`jobctl runs list` shows what there is.")
    return entry


def pipeline_view(name: str, entry: Entry) -> PipelineView:
    """Return a pipeline as it is listed."""
    return PipelineView(**_pipeline(name, entry))


def pipeline_detail(view: View, name: str, entry: Entry) -> PipelineDetail:
    """Return a pipeline with its spec."""
    plan = dag.plan_of(view, entry.noun.definition)
    assert plan is not None, "a pipeline keeps its definition"
    return PipelineDetail(**_pipeline(name, entry), spec=written_form(plan.spec))


def _pipeline(name: str, entry: Entry) -> dict[str, Any]:
    record: Pipeline = entry.noun
    return {
        "name": name,
        "revision": entry.revision,
        "steps": record.steps,
        "labels": record.labels,
        "definition": record.definition,
        "updated_at": stamp(record.updated_ms),
        "updated_by": record.principal,
        "warnings": list(record.warnings),
    }


def run_view(view: View, run_id: str, entry: Entry) -> RunView:
    """Return a run as it is listed."""
    return RunView(**_run(view, run_id, entry, _states(view, run_id, entry.noun)))


def run_detail(view: View, run_id: str, entry: Entry) -> RunDetail:
    """Return a run with its steps."""
    run: Run = entry.noun
    plan = dag.plan_of(view, run.definition)
    assert plan is not None, "a run keeps its definition"
    standing = dag.standing_of(view, run_id)
    graph = [
        _step(view, run, node.spec, node.waits_for, standing, name)
        for name, node in plan.graph.nodes.items()
    ]
    states: Counter[str] = Counter([step.state for step in graph])
    return RunDetail(
        **_run(view, run_id, entry, dict(states)),
        inputs=run.inputs,
        outputs=run.outputs,
        definition=run.definition,
        pipeline_revision=run.pipeline_revision,
        graph=graph,
    )


def _states(view: View, run_id: str, run: Run) -> dict[str, int]:
    states: Counter[str] = Counter()
    for key, entry in view.scan(keys.steps_of(run_id)):
        if keys.step_parts(key)[2] is None:
            states[entry.noun.state] += 1
    plan = dag.plan_of(view, run.definition)
    left = len(plan.graph.nodes) - states.total() if plan is not None else 0
    if left:
        states[_not_there(run)] += left
    return dict(states)


def _not_there(run: Run) -> ShownState:
    return "cancelled" if run.state in RUN_TERMINAL else "pending"


def _run(view: View, run_id: str, entry: Entry, steps: dict[str, int]) -> dict[str, Any]:
    run: Run = entry.noun
    cause = run.cause
    return {
        "id": run_id,
        "pipeline": run.pipeline,
        "state": run.state,
        "reason": run.reason,
        "detail": run.detail,
        "created_at": stamp(run.created_ms),
        "started_at": stamp_or_none(run.started_ms),
        "finished_at": stamp(run.since_ms) if run.state in RUN_TERMINAL else None,
        "stop_requested": run.stop_ms > 0,
        "steps": steps,
        "labels": run.labels,
        "parent_run": run.parent_run or None,
        "rerun_from": run.rerun_from or None,
        "of_run": run.of_run or None,
        "of_step": run.of_step or None,
        "cause": None if cause is None else {"kind": cause.kind, "id": cause.id},
        "revision": entry.revision,
    }


def _step(
    view: View,
    run: Run,
    spec: StepSpec,
    waits_for: frozenset[str],
    standing: dag.Standing,
    name: str,
) -> StepView:
    step = standing.steps.get(name) or Step(state="running", since_ms=0)
    is_there = name in standing.steps
    census = standing.members.get(name)
    if step.reused and step.members >= 0:  # its members are where it was done
        census = dag.standing_of(view, step.reused).members.get(name)
    ended = is_there and step.state in STEP_TERMINAL
    bad = step.state in ("failed", "cancelled")
    return StepView(
        name=name,
        state=step.state if is_there else _not_there(run),
        kind="gate" if spec.gate is not None else "pipeline" if spec.pipeline else "job",
        needs=sorted(waits_for),
        is_final=spec.is_final,
        reason=step.reason,
        detail=step.detail,
        job=step.job or None,
        run=step.run or None,
        started_at=stamp_or_none(step.started_ms),
        finished_at=stamp(step.since_ms) if ended else None,
        due_at=stamp_or_none(step.due_ms),
        items=_items(step, census) if step.members >= 0 else None,
        continued=ended and bad and spec.continue_on_failure,
        reused=step.reused or None,
        answered_by=step.by or None,
    )


def _items(step: Step, census: Any) -> dict[str, int]:
    states = {state: count for state, count in census.states.items() if count} if census else {}
    return {"total": step.members, **states}
