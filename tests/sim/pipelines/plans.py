"""Random pipelines, and an oracle that says what each step must come to.

The oracle knows nothing of the product: conditions are kept as Python functions beside the text
that the product reads, and what a step does is drawn before anything runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.model.pipeline import Gate, InputFrom, MapOver, PipelineSpec, RunLimit, StepSpec

__all__ = ["Drawn", "Plan", "draw", "expected"]

Ask = Callable[[dict[str, str]], bool]
_COMMAND = {"type": "command", "cmd": "true"}


@dataclass
class Drawn:
    """One step: its spec, its conditions as functions of the states, and how its work ends."""

    spec: StepSpec
    waits_for: set[str]
    requires: set[str]
    depends: Ask | None = None
    condition: Ask | None = None
    outcomes: list[bool] = field(default_factory=list)  # one, or one for each item
    answer: str = ""  # of a gate: approve, reject, timeout
    template_fails: bool = False
    takes: str = ""  # the step whose output is its input


@dataclass
class Plan:
    """A pipeline that was drawn, with the child that some steps run."""

    spec: PipelineSpec
    steps: dict[str, Drawn]
    child: PipelineSpec
    child_outcome: dict[str, bool]
    limit: int = 0


def draw(rng: random.Random, *, limit: int = 0) -> Plan:
    """Draw a pipeline of one to eight steps and up to two of `finally`."""
    steps: dict[str, Drawn] = {}
    for i in range(rng.randint(1, 8)):
        name = f"s{i}"
        steps[name] = _draw_step(rng, name, list(steps), is_final=False)
    mains = list(steps)
    finals: list[str] = []
    for i in range(rng.choice((0, 0, 1, 2))):
        name = f"f{i}"
        steps[name] = _draw_step(rng, name, finals, is_final=True)
        finals.append(name)
    order = [*mains, *finals]
    rng.shuffle(order)  # the text's order says nothing
    concurrency = RunLimit(max=limit, key="k") if limit else None
    timeout_ms = rng.choice((0, 0, 0, 40_000))
    spec = PipelineSpec(
        name="drawn",
        steps=tuple(steps[name].spec for name in order),
        concurrency=concurrency,
        timeout_ms=timeout_ms,
    )
    child = PipelineSpec(
        name="child",
        steps=(
            StepSpec(name="c0", job=_COMMAND),
            StepSpec(name="c1", job=_COMMAND, needs=("c0",), continue_on_failure=True),
        ),
    )
    return Plan(spec, steps, child, {"c0": rng.random() < 0.8, "c1": rng.random() < 0.5}, limit)


def _draw_step(rng: random.Random, name: str, earlier: list[str], *, is_final: bool) -> Drawn:
    chosen = [other for other in earlier if rng.random() < 0.4]
    fields: dict[str, Any] = {"name": name, "is_final": is_final}
    drawn_depends: Ask | None = None
    requires: set[str] = set()
    if chosen and rng.random() < 0.35:
        text, drawn_depends = _draw_depends(rng, chosen)
        fields["depends"] = text
    else:
        fields["needs"] = tuple(chosen)
        requires = set(chosen)
    waits_for = set(chosen)
    condition: Ask | None = None
    if earlier and rng.random() < 0.2:
        other = rng.choice(earlier)
        fields["condition"] = f"steps.{other}.state == 'succeeded' || inputs.go"
        condition = _state_is(other, "succeeded")
        waits_for.add(other)
    fields["continue_on_failure"] = rng.random() < 0.25
    drawn = Drawn(StepSpec(name=name), waits_for, requires, drawn_depends, condition)
    _draw_work(rng, drawn, fields)
    if requires and "type" in fields.get("job", {}) and "map" not in fields and rng.random() < 0.5:
        drawn.takes = rng.choice(sorted(requires))
        fields["input_from"] = (InputFrom("", drawn.takes),)
    drawn.spec = StepSpec(**fields)
    return drawn


def _draw_work(rng: random.Random, drawn: Drawn, fields: dict[str, Any]) -> None:
    kind = rng.choice(("job", "job", "job", "job", "map", "map", "gate", "child", "broken"))
    match kind:
        case "gate":
            drawn.answer = rng.choice(("approve", "reject", "timeout"))
            timeout_ms = 20_000 if drawn.answer == "timeout" else 0
            fields["gate"] = Gate(timeout_ms, rng.choice(("approve", "reject")))
        case "child":
            fields["pipeline"] = "child"
        case "map":
            count = rng.randint(0, 5)
            drawn.outcomes = [rng.random() < 0.8 for _ in range(count)]
            least = rng.choice((-1, -1, rng.randint(0, count)))
            fields["map"] = MapOver(list(range(count)), rng.choice((0, 1, 2)), least)
            fields["job"] = _COMMAND | {"args": ["${item}"]}
        case "broken":
            drawn.template_fails = True
            fields["job"] = {"type": "command", "cmd": "true", "timeout": "${run.id}"}
        case _:
            drawn.outcomes = [rng.random() < 0.75]
            fields["job"] = _COMMAND


def _draw_depends(rng: random.Random, chosen: list[str]) -> tuple[str, Ask]:
    """Return an expression over all the chosen steps, and what it means."""
    parts: list[tuple[str, Ask]] = []
    for name in chosen:
        status = rng.choice(("succeeded", "failed", "skipped", "omitted", "ended", "cancelled"))
        text, ask = f"{name}.{status}", _state_is(name, status)
        if rng.random() < 0.3:
            text, ask = f"!{text}", _negated(ask)
        parts.append((text, ask))
    text, ask = parts[0]
    for other_text, other in parts[1:]:
        if rng.random() < 0.5:
            text, ask = f"({text}) && {other_text}", _both(ask, other)
        else:
            text, ask = f"({text} || {other_text})", _either(ask, other)
    return text, ask


def _state_is(name: str, status: str) -> Ask:
    return lambda states: status == "ended" or states[name] == status


def _negated(ask: Ask) -> Ask:
    return lambda states: not ask(states)


def _both(one: Ask, other: Ask) -> Ask:
    return lambda states: one(states) and other(states)


def _either(one: Ask, other: Ask) -> Ask:
    return lambda states: one(states) or other(states)


def expected(plan: Plan) -> tuple[dict[str, str], str]:
    """Return what each step and the run come to when nobody asks for their end."""
    states: dict[str, str] = {}
    while len(states) < len(plan.steps):
        for name, drawn in plan.steps.items():
            if name not in states and drawn.waits_for <= states.keys():
                states[name] = _expected_of(plan, drawn, states)
    bad = [name for name, state in states.items() if state == "failed"]
    if any(not plan.steps[name].spec.continue_on_failure for name in bad):
        return states, "failed"
    child_ran = [n for n, d in plan.steps.items() if d.spec.pipeline and states[n] == "succeeded"]
    warned = bad or (child_ran and not plan.child_outcome["c1"])
    return states, "succeeded_with_warnings" if warned else "succeeded"


def _expected_of(plan: Plan, drawn: Drawn, states: dict[str, str]) -> str:
    for name in drawn.requires:
        may_fail = plan.steps[name].spec.continue_on_failure
        if states[name] == "omitted" or (states[name] == "failed" and not may_fail):
            return "omitted"
    if drawn.depends is not None and not drawn.depends(states):
        return "omitted"
    if drawn.condition is not None and not drawn.condition(states):
        return "skipped"
    spec = drawn.spec
    if drawn.template_fails:
        return "failed"
    if spec.gate is not None:
        word = spec.gate.on_timeout if drawn.answer == "timeout" else drawn.answer
        return "succeeded" if word == "approve" else "failed"
    if spec.pipeline:
        return "succeeded" if plan.child_outcome["c0"] else "failed"
    if spec.map is not None:
        least = len(drawn.outcomes) if spec.map.min_success < 0 else spec.map.min_success
        return "succeeded" if sum(drawn.outcomes) >= least else "failed"
    return "succeeded" if drawn.outcomes[0] else "failed"
