"""A pipeline's graph: what each step waits for, and under what condition it starts.

Rules of this file:
G1  A step waits for every step that it names, wherever it names it: `needs`, `depends`, `if`,
    `input_from`, `map`, templates.
G2  It requires those that it names in `needs`, and those whose output it takes, unless `depends`
    speaks of them: required is satisfied by succeeded, by skipped, and by what may fail.
G3  `depends` is judged when all it speaks of has ended. Where it or a requirement is false the step
    is omitted; where `if` is false it is skipped.
G4  The steps of `finally` begin when all others have ended; of those they require nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from actors.core.dag.expression import (
    Expression,
    ExpressionError,
    names_in,
    parse_expression,
)
from actors.core.dag.path import Path
from actors.core.dag.template import Ref, TemplateError, read_ref, refs_in
from actors.core.spec.problems import shown
from actors.model.pipeline import PipelineSpec, StepSpec

__all__ = ["STATUSES", "Graph", "Mention", "Node", "cycle", "graph_of", "mentions", "split_status"]

# what `depends` may ask of a step, and of which states it is true
STATUSES: Final[dict[str, frozenset[str]]] = {
    "succeeded": frozenset(("succeeded",)),
    "failed": frozenset(("failed",)),
    "cancelled": frozenset(("cancelled",)),
    "skipped": frozenset(("skipped",)),
    "omitted": frozenset(("omitted",)),
    "ended": frozenset(("succeeded", "failed", "cancelled", "skipped", "omitted")),
}


class Mention(NamedTuple):
    """A step that another one names: where in its spec, and what for."""

    path: Path
    step: str
    use: str  # needs, depends, order (only wait for it), output
    part: Path = ()  # of an output
    problem: str = ""  # what is wrong there; then `step` is empty


class Node(NamedTuple):
    """One step of the graph."""

    spec: StepSpec
    waits_for: frozenset[str]
    requires: tuple[str, ...]
    depends: Expression | None
    condition: Expression | None


class Graph(NamedTuple):
    """All steps of a pipeline: `nodes` in the order of the text, the others as they may begin."""

    nodes: dict[str, Node]
    main: tuple[str, ...]
    final: tuple[str, ...]


def graph_of(spec: PipelineSpec) -> Graph:
    """Return the graph of a checked definition."""
    nodes = {step.name: _node(step) for step in spec.steps}
    main = {step.name for step in spec.steps if not step.is_final}
    for name, node in nodes.items():
        if node.spec.is_final:  # G4: they begin when those have ended
            requires = tuple(each for each in node.requires if each not in main)
            nodes[name] = node._replace(waits_for=node.waits_for - main, requires=requires)
    order = _in_order(nodes)
    return Graph(
        nodes,
        tuple(name for name in order if not nodes[name].spec.is_final),
        tuple(name for name in order if nodes[name].spec.is_final),
    )


def _in_order(nodes: dict[str, Node]) -> list[str]:
    """Return the steps so that each comes behind all that it waits for."""
    missing = {name: len(node.waits_for) for name, node in nodes.items()}
    behind: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for waited in node.waits_for:
            behind.setdefault(waited, []).append(name)
    order = [name for name, count in missing.items() if not count]
    for name in order:
        for other in behind.get(name, ()):
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    return order


def _node(step: StepSpec) -> Node:
    found = [mention for mention in mentions(step) if mention.step]
    spoken_of = {mention.step for mention in found if mention.use == "depends"}
    required = [m.step for m in found if m.use in ("needs", "output") and m.step not in spoken_of]
    return Node(
        step,
        frozenset(mention.step for mention in found),
        tuple(dict.fromkeys(required)),
        parse_expression(step.depends) if step.depends else None,
        parse_expression(step.condition) if step.condition else None,
    )


def split_status(name: str) -> tuple[str, str]:
    """Return (step, status) of a name in `depends`; the status is empty where none is asked for."""
    step, _, status = name.rpartition(".")
    return (step, status) if step else (name, "")


def mentions(step: StepSpec) -> Iterator[Mention]:
    """Yield what a step names, with what is wrong in its templates and expressions."""
    for i, need in enumerate(step.needs):
        yield Mention(("needs", i), need, "needs")
    if step.depends:
        yield from _of_depends(step.depends)
    if step.condition:
        yield from _of_condition(step)
    for source in step.input_from:
        where: Path = ("input_from", source.name) if source.name else ("input_from",)
        yield Mention(where, source.job, "output", source.path)
    if step.map is not None:
        yield from _of_template(refs_in(step.map.over, ("map", "over")), in_map=False)
    yield from _of_template(refs_in(step.job), in_map=step.map is not None)


def _of_depends(text: str) -> Iterator[Mention]:
    path = ("depends",)
    try:
        for name in names_in(parse_expression(text)):
            of, status = split_status(name)
            if status and status not in STATUSES:
                known = ", ".join(STATUSES)
                yield Mention(path, "", "", (), f"{shown(status)} is no state; known: {known}")
            else:
                yield Mention(path, of, "depends")
    except ExpressionError as error:
        yield Mention(path, "", "", (), str(error))


def _of_condition(step: StepSpec) -> Iterator[Mention]:
    path = ("if",)
    try:
        for name in names_in(parse_expression(step.condition)):
            ref = read_ref(name)
            if ref is None:
                known = "steps.NAME.output, inputs.NAME, run.id"
                yield Mention(path, "", "", (), f"{shown(name)} names nothing; known: {known}")
            elif ref.root in ("item", "map"):
                message = f"{shown(name)} is of one item; `if` is judged once, before the map"
                yield Mention(path, "", "", (), message)
            elif ref.root == "steps":
                yield Mention(path, ref.name, "order", ref.path)
    except (ExpressionError, TemplateError) as error:
        yield Mention(path, "", "", (), str(error))


def _of_template(found: Iterator[tuple[Path, Ref | str]], *, in_map: bool) -> Iterator[Mention]:
    for path, ref in found:
        if isinstance(ref, str):
            yield Mention(path, "", "", (), ref)
        elif ref.root == "steps":
            use = "order" if ref.part == "state" else "output"
            yield Mention(path, ref.name, use, ref.path)
        elif ref.root in ("item", "map") and not in_map:
            yield Mention(path, "", "", (), f"{ref} is for steps with `map`")


def cycle(waits_for: dict[str, Any]) -> list[str]:
    """Return a cycle as the steps that it leads through, its first one again at the end, or []."""
    done: set[str] = set()
    for start in waits_for:
        trail: dict[str, Iterator[str]] = {}
        if start not in done:
            trail[start] = iter(waits_for[start])
        while trail:
            name = next(reversed(trail))
            for ahead in trail[name]:
                if ahead in trail:
                    names = list(trail)
                    return [*names[names.index(ahead) :], ahead]
                if ahead not in done and ahead in waits_for:
                    trail[ahead] = iter(waits_for[ahead])
                    break
            else:
                done.add(name)
                del trail[name]
    return []
