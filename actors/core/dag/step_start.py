"""Start a step: judge its conditions, fill its templates in, and make what does it.

Rules of this file:
P1  absent(step/<run>/<name>) beside at(run): a step is started once, and never after a stop (the
    draft has both checks in every transaction).
P2  The step and its job, or its sub-run, are put by one transaction: neither is without the other.
P3  What can't be started as it stands (a template without its value, a spec that its input makes
    wrong) has failed, with the reason; it is never tried again and never holds the run up.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors import limits
from actors.core.dag.draft import Draft
from actors.core.dag.expression import Expression, judge
from actors.core.dag.graph import STATUSES, Node, split_status
from actors.core.dag.spans import run_span
from actors.core.dag.states import first_step, move_step
from actors.core.dag.template import CODE, TemplateError, fill
from actors.core.dag.trigger import NotBegun, trigger
from actors.core.dag.values import Values
from actors.core.job.accept import accept
from actors.core.job.work import brief
from actors.core.spec.job import job_from_mapping
from actors.errors import InvalidSpec, TooLarge
from actors.model.cause import Cause
from actors.model.pipeline import StepSpec
from actors.model.run import Step

__all__ = ["grow", "is_satisfied", "needed_of", "start_step"]


class _Unstartable(Exception):
    """Why a step has failed before anything of it began (P3)."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def start_step(draft: Draft, node: Node) -> None:
    """Start a step that all it waits for has ended, or decide that it does not run."""
    name, now_ms = node.spec.name, draft.now_ms
    unmet = _unmet(draft, node)
    if unmet:
        state = first_step("omit", "omitted")
        draft.put_step(name, Step(state=state, since_ms=now_ms, reason="depends", detail=unmet))
        return
    values = draft.values(so_far(draft))
    if node.condition is not None and not judge(node.condition, values.lookup):
        state = first_step("skip", "skipped")
        why = brief(f"if: {node.spec.condition}")
        draft.put_step(name, Step(state=state, since_ms=now_ms, reason="if", detail=why))
        return
    try:
        draft.put_step(name, _begin(draft, node.spec, values))
    except _Unstartable as error:
        draft.put_step(name, _failed(draft, error))
        return
    if node.spec.map is not None:
        grow(draft, name)


def so_far(draft: Draft) -> str:
    """What the run comes to as far as its main steps have gone."""
    if draft.run.stop_ms:
        return "failed" if draft.run.stop_reason == "timeout" else "cancelled"
    for name in draft.plan.graph.main:
        step = draft.steps.get(name)
        if step is not None and not is_satisfied(draft, name) and step.state != "omitted":
            return "failed"
    return "succeeded"


def is_satisfied(draft: Draft, name: str) -> bool:
    """Say whether a step that has ended lets those go on that need it."""
    step = draft.steps.get(name)
    if step is None:
        return False
    if step.state in ("failed", "cancelled"):
        return draft.plan.graph.nodes[name].spec.continue_on_failure
    return step.state in ("succeeded", "skipped")


def _unmet(draft: Draft, node: Node) -> str:
    """Return what keeps a step from running, "" for nothing (G3)."""
    for name in node.requires:
        if not is_satisfied(draft, name):
            return f"it needs {name}, which is {draft.steps[name].state}"
    if node.depends is not None and not _holds(draft, node.depends):
        return brief(f"depends: {node.spec.depends}")
    return ""


def _holds(draft: Draft, depends: Expression) -> bool:
    def ask(name: str) -> bool:
        step, status = split_status(name)
        if not status:
            return is_satisfied(draft, step)
        return draft.steps[step].state in STATUSES[status]

    return bool(judge(depends, ask))


def _begin(draft: Draft, spec: StepSpec, values: Values) -> Step:
    """Return the record that a step begins with. Raises _Unstartable."""
    now_ms = draft.now_ms
    if spec.gate is not None:
        due_ms = now_ms + spec.gate.timeout_ms if spec.gate.timeout_ms else 0
        state = first_step("gate", "waiting")
        return Step(state=state, since_ms=now_ms, started_ms=now_ms, reason="gate", due_ms=due_ms)
    if spec.map is None:
        return _work(draft, spec, values)
    items = _items(spec, values)
    if not items:
        state = first_step("empty", "succeeded")
        return Step(state=state, since_ms=now_ms, started_ms=now_ms, members=0)
    state = first_step("start", "running")
    return Step(state=state, since_ms=now_ms, started_ms=now_ms, members=len(items))


def _items(spec: StepSpec, values: Values) -> list[Any]:
    assert spec.map is not None, "only a mapped step has items"
    try:
        items = fill(spec.map.over, values.resolve)
    except TemplateError as error:
        raise _Unstartable("map", str(error)) from None
    if items is None:
        return []
    if not isinstance(items, list):
        what = type(items).__name__ if not isinstance(items, dict) else "mapping"
        raise _Unstartable("map", f"map.over is a {what} here, not a list")
    if len(items) > limits.MAP_ITEMS:
        raise _Unstartable(
            "map", f"map.over has {len(items)} items; MAP_ITEMS is {limits.MAP_ITEMS}"
        )
    return items


# -- the members of a map


def needed_of(spec: StepSpec, count: int) -> int:
    """Return how many of a map's items must succeed."""
    assert spec.map is not None, "only a mapped step has items"
    if spec.map.min_percent:
        return -(-count * spec.map.min_percent // 100)
    return count if spec.map.min_success < 0 else min(count, spec.map.min_success)


def grow(draft: Draft, name: str) -> None:
    """Make the next members of a mapped step, in the order of its list, as many as may go."""
    node, step, census = draft.plan.graph.nodes[name], draft.steps[name], draft.census(name)
    spec = node.spec
    if step.state != "running" or census.made >= step.members or draft.is_full:
        return
    assert spec.map is not None, "only a mapped step has members"
    values = draft.values()
    try:
        items = _items(spec, values)
    except _Unstartable as error:  # only where an output was deleted by hand in the meantime
        failed = move_step(
            step,
            "finish",
            "failed",
            now_ms=draft.now_ms,
            reason=error.reason,
            detail=brief(str(error)),
        )
        draft.put_step(name, failed)
        return
    most = spec.map.parallelism or step.members
    while census.made < step.members and len(census.open) < most and not draft.is_full:
        index = census.made
        values.item, values.index = items[index], index
        try:
            member = _work(draft, spec, values)
        except _Unstartable as error:
            member = _failed(draft, error)
        draft.put_step(name, member, index)


# -- what does it


def _work(draft: Draft, spec: StepSpec, values: Values) -> Step:
    """Make the job or the sub-run of a step or a member (P2). Raises _Unstartable."""
    try:
        given = _input(spec, values)
        written = {key: item for key, item in spec.job.items() if key not in ("input", *CODE)}
        mapping = fill(written, values.resolve)
    except TemplateError as error:
        raise _Unstartable("template", str(error)) from None
    if spec.pipeline:
        return _sub_run(draft, spec, given)
    mapping |= {key: spec.job[key] for key in CODE if key in spec.job}
    if given is not None:
        mapping["input"] = given[0]
    name = spec.name if values.index < 0 else f"{spec.name}/{values.index}"
    return _job(draft, name, {"name": spec.name} | mapping)


def _input(spec: StepSpec, values: Values) -> tuple[Any] | None:
    """Return the input that a step gets, None where it has none. Raises TemplateError."""
    if spec.input_from:
        whole = spec.input_from[0]
        if not whole.name:
            return (values.part_of(whole.job, whole.path),)
        parts = {each.name: values.part_of(each.job, each.path) for each in spec.input_from}
        return (parts,)
    if "input" in spec.job:
        return (fill(spec.job["input"], values.resolve),)
    if values.index >= 0:
        return (values.item,)
    return None


def _job(draft: Draft, name: str, mapping: dict[str, Any]) -> Step:
    run, now_ms = draft.run, draft.now_ms
    _as_text(mapping)
    try:
        spec = job_from_mapping(mapping, now_ms=now_ms)
    except InvalidSpec as error:
        problems = "; ".join([f"{each.path}: {each.message}" for each in error.problems[:3]])
        raise _Unstartable("spec", problems) from None
    except TooLarge as error:
        raise _Unstartable("spec", error.message) from None
    job_id = draft.new_id()
    draft.merge(
        accept(
            draft.view,
            spec,
            job_id,
            now_ms=now_ms,
            principal=run.principal,
            body_hash="",
            trace=run_span(draft.run_id, run.trace).traceparent,
            cause=Cause("run", draft.run_id, _depth(run.cause) + 1, _via(run.cause)),
            run=draft.run_id,
            step=name,
        )
    )
    state = first_step("start", "running")
    return Step(state=state, since_ms=now_ms, started_ms=now_ms, job=job_id)


def _as_text(mapping: dict[str, Any]) -> None:
    """Have what a lone hole put where a job spec wants text be text."""
    for key in ("args", "command", "entrypoint"):
        if isinstance(mapping.get(key), list):
            mapping[key] = [_text(item) for item in mapping[key]]
    for key in ("cmd", "cwd", "image", "user", "module"):
        if key in mapping:
            mapping[key] = _text(mapping[key])
    for key in ("environment", "labels"):
        if isinstance(mapping.get(key), dict):
            mapping[key] = {
                name: item if isinstance(item, dict) and "secret" in item else _text(item)
                for name, item in mapping[key].items()
            }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _sub_run(draft: Draft, spec: StepSpec, given: tuple[Any] | None) -> Step:
    run, now_ms = draft.run, draft.now_ms
    depth = _depth(run.cause) + 1
    if depth > limits.CAUSE_DEPTH:
        raise _Unstartable("depth", f"runs within runs: CAUSE_DEPTH is {limits.CAUSE_DEPTH}")
    run_id = draft.new_id()
    begun = trigger(
        draft.view,
        spec.pipeline,
        run_id=run_id,
        inputs=given[0] if given is not None else None,
        now_ms=now_ms,
        cause=Cause("run", draft.run_id, depth, _via(run.cause)),
        principal=run.principal,
        trace=run_span(draft.run_id, run.trace).traceparent,
        of=(draft.run_id, spec.name),
    )
    if isinstance(begun, NotBegun):
        raise _Unstartable(begun.reason, begun.detail)
    draft.merge(begun)
    state = first_step("start", "running")
    return Step(state=state, since_ms=now_ms, started_ms=now_ms, run=run_id)


def _via(cause: Cause | None) -> tuple[str, ...]:
    return cause.via if cause is not None else ()


def _depth(cause: Cause | None) -> int:
    return cause.depth if cause is not None else 0


def _failed(draft: Draft, error: _Unstartable) -> Step:
    state = first_step("spec", "failed")
    detail = brief(str(error))
    return Step(state=state, since_ms=draft.now_ms, reason=error.reason, detail=detail)
