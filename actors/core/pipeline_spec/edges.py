"""The types of a pipeline's edges: what a step puts out against what the next one takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from actors.core.dag.path import Path as DataPath
from actors.core.dag.path import text_of_path
from actors.core.dag.template import Ref, TemplateError, parse
from actors.core.pipeline_spec.subsumption import subsumes
from actors.core.spec.problems import Path
from actors.model.pipeline import StepSpec

__all__ = ["edge_problems"]

_UNKNOWN: Final[Any] = None


def edge_problems(
    steps: list[StepSpec], where: dict[str, Path]
) -> Iterator[tuple[Path, str, bool]]:
    """Yield (place, what is wrong, whether it is proved) of each edge that doesn't fit."""
    known = {step.name: step for step in steps}
    for step in steps:
        taken = step.job.get("input_schema")
        for path, source, data_path, at in _edges(step):
            other = known[source]
            wanted = _at(taken, at) if taken is not None else _UNKNOWN
            for message, is_proved in _compare(other, data_path, wanted):
                yield (*where[step.name], *path), message, is_proved


def _edges(step: StepSpec) -> Iterator[tuple[Path, str, DataPath, DataPath | None]]:
    """Yield (place, step, path of its output, path of the input that it becomes).

    The last one is None where only a part of a text becomes of it.
    """
    for part in step.input_from:
        if part.name:
            yield ("input_from", part.name), part.job, part.path, (part.name,)
        else:
            yield ("input_from",), part.job, part.path, ()
    yield from _holes(step.job.get("input"), (), ("input",))
    rest = {key: item for key, item in step.job.items() if key != "input"}
    for path, source, data_path, _ in _holes(rest, (), ()):
        yield path, source, data_path, None
    if step.map is not None and isinstance(step.map.over, str) and not step.input_from:
        for path, source, data_path, _ in _holes(step.map.over, (), ("map", "over")):
            yield path, source, (*data_path, 0), () if "input" not in step.job else None


def _holes(
    value: Any, at: DataPath, path: Path
) -> Iterator[tuple[Path, str, DataPath, DataPath | None]]:
    if isinstance(value, str):
        try:
            pieces = parse(value) if "${" in value else []
        except TemplateError:
            return  # has a problem of its own
        for piece in pieces:
            if isinstance(piece, Ref) and piece.root == "steps" and piece.part == "output":
                yield path, piece.name, piece.path, at if len(pieces) == 1 else None
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _holes(item, (*at, str(key)), (*path, str(key)))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _holes(item, (*at, i), (*path, i))


def _compare(source: StepSpec, path: DataPath, wanted: Any) -> Iterator[tuple[str, bool]]:
    """Yield what is wrong with one edge, and whether it is proved."""
    name = source.name
    whole = _output_schema(source)
    if whole is _UNKNOWN:
        if wanted not in (_UNKNOWN, True, {}):
            yield f"{name} has no output_schema: whether it fits shows when it runs", False
        return
    given, problem, may_miss = _part(whole, path)
    if problem:
        yield f"the output of {name} has no {text_of_path(path)}: {problem}", True
        return
    if may_miss:
        yield f"the output of {name} may have no {text_of_path(path)}", False
    if given is _UNKNOWN or wanted is _UNKNOWN:
        return
    verdict = subsumes(wanted, given)
    if verdict.answer != "yes":
        at = text_of_path(tuple(step for step in verdict.path if step not in ("[]", "*")))
        said = f"{at[1:]}: {verdict.why}" if at else verdict.why
        proved = verdict.answer == "no"
        words = "doesn't fit" if proved else "may not fit"
        yield f"the output of {name} {words} the input_schema: {said}", proved
        return
    may_not_succeed = source.continue_on_failure or source.condition
    if may_not_succeed and subsumes(wanted, {"type": "null"}).answer != "yes":
        yield f"{name} may not succeed: then its output is null, which is not taken", False


def _output_schema(source: StepSpec) -> Any:
    """What a step puts out, as a schema; _UNKNOWN where nothing is said."""
    if source.gate is not None or source.pipeline:
        return _UNKNOWN
    schema = source.job.get("output_schema", _UNKNOWN)
    if schema is _UNKNOWN:
        return _UNKNOWN
    if source.map is not None:
        least = source.map
        if least.min_percent or least.min_success >= 0:
            schema = {"anyOf": [schema, {"type": "null"}]}
        schema = {"type": "array", "items": schema}
    elif source.job.get("tasks", 1) != 1:
        schema = {"type": "array", "items": {"anyOf": [schema, {"type": "null"}]}}
    return schema


def _part(schema: Any, path: DataPath) -> tuple[Any, str, bool]:
    """Return (the schema at a path, why there is none, whether there may be nothing there)."""
    may_miss = False
    for step in path:
        if not isinstance(schema, dict):
            return _UNKNOWN, "", may_miss
        kind = schema.get("type")
        if isinstance(step, int) and kind == "array":
            schema = schema.get("items", True)
            continue
        if kind != "object" and "properties" not in schema:
            if isinstance(kind, str) and kind not in ("object", "array"):
                return _UNKNOWN, f"it is a {kind}", may_miss
            return _UNKNOWN, "", may_miss
        has = schema.get("properties", {})
        if str(step) not in has:
            if schema.get("additionalProperties", True) is False:
                return _UNKNOWN, "its output_schema has none", may_miss
            return _UNKNOWN, "", may_miss
        may_miss = may_miss or str(step) not in schema.get("required", ())
        schema = has[str(step)]
    return schema, "", may_miss


def _at(schema: Any, at: DataPath | None) -> Any:
    """Return what an input schema asks of one place; _UNKNOWN where nothing is said."""
    if at is None:
        return _UNKNOWN
    for step in at:
        if not isinstance(schema, dict):
            return _UNKNOWN
        if isinstance(step, int):
            schema = schema.get("items", _UNKNOWN)
            continue
        has, others = schema.get("properties", {}), schema.get("additionalProperties", _UNKNOWN)
        schema = has.get(str(step), others)
    return schema
