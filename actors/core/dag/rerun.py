"""Run an ended run again, as a new run that takes over what the earlier one has done.

Rules of this file:
R1  The new run has the definition and the inputs of the old one, whatever has become of the
    pipeline.
R2  A step is taken over when it succeeded or was skipped, and all that it waits for is taken over:
    what lies behind a step that runs again runs again. From a step on, what failed before it and
    was passed over stays so. `finally` always runs again.
R3  What is taken over is the record: it names the job, or the run with the members, that did it. An
    open run keeps those runs from eviction; the transaction that begins it puts them again, so that
    an eviction that has not seen it conflicts (R10 of the job rules).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors import limits
from actors.core.dag.definition import plan_of
from actors.core.dag.graph import Graph
from actors.core.dag.states import first_run, first_step
from actors.core.dag.trigger import NotBegun, begin
from actors.core.store.txn import Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.run import RUN_TERMINAL, Run, Step

__all__ = ["rerun", "reusable"]


def rerun(
    view: View,
    old_id: str,
    *,
    run_id: str,
    since: str,
    now_ms: int,
    principal: str = "",
    trace: str = "",
    body_hash: str = "",
) -> Txn | NotBegun:
    """Return the transaction that runs an ended run again; `since` is failed, start or a step."""
    entry = view.get(keys.run(old_id))
    if entry is None or entry.noun.state not in RUN_TERMINAL:
        return NotBegun("rerun", f"run {old_id} has not ended")
    old: Run = entry.noun
    plan = plan_of(view, old.definition)
    if plan is None:
        return NotBegun("pipeline", f"the definition of {old.pipeline} is not there any more")
    if since not in ("failed", "start") and since not in plan.graph.nodes:
        return NotBegun("rerun", f"{old.pipeline} has no step {since!r}")
    known = [run for run in old.reuses if view.get(keys.run(run)) is not None]
    reuses = () if since == "start" else (old_id, *known)
    if len(reuses) > limits.REUSED_RUNS:
        most = limits.REUSED_RUNS
        return NotBegun("rerun", f"it takes over from {most} runs already; run it from start")
    depth = old.cause.depth if old.cause is not None else 0
    run = Run(
        state=first_run("trigger", "pending"),
        since_ms=now_ms,
        pipeline=old.pipeline,
        definition=old.definition,
        pipeline_revision=old.pipeline_revision,
        created_ms=now_ms,
        inputs=old.inputs,
        parent_run=old_id,
        rerun_from=since,
        reuses=reuses,
        cause=Cause("retry", old_id, depth),
        principal=principal,
        trace=trace,
        body_hash=body_hash,
        labels=old.labels,
    )
    begun = begin(view, run_id, run, now_ms)
    if isinstance(begun, NotBegun):
        return begun
    touched = [(key, held) for key in map(keys.run, reuses) if (held := view.get(key)) is not None]
    return msgspec.structs.replace(
        begun,
        checks=(
            *begun.checks,
            at(keys.run(old_id), entry.revision),
            *(at(key, held.revision) for key, held in touched if key != keys.run(old_id)),
        ),
        ops=(*begun.ops, *((key, encode(held.noun)) for key, held in touched)),
    )


def reusable(view: View, run: Run, graph: Graph) -> dict[str, Step]:
    """Return the records that a run takes over (R2)."""
    if not run.reuses:
        return {}
    return dict(_taken_over(view, run, graph))


def _taken_over(view: View, run: Run, graph: Graph) -> Iterator[tuple[str, Step]]:
    taken: set[str] = set()
    for name in graph.main:
        if name == run.rerun_from or not graph.nodes[name].waits_for <= taken:
            continue
        entry = view.get(keys.step(run.parent_run, name))
        if entry is None:
            continue
        step: Step = entry.noun
        passed_over = graph.nodes[name].spec.continue_on_failure and run.rerun_from != "failed"
        if step.state not in ("succeeded", "skipped") and not (
            passed_over and step.state == "failed"
        ):
            continue
        origin = step.reused or run.parent_run
        if origin in run.reuses and _is_there(view, step):
            taken.add(name)
            first_step("reuse", step.state)
            yield name, msgspec.structs.replace(step, reused=origin)


def _is_there(view: View, step: Step) -> bool:
    """Say whether what did a step is still there: its output is read from it."""
    if step.job:
        return view.get(keys.job(step.job)) is not None
    return not step.run or view.get(keys.run(step.run)) is not None
