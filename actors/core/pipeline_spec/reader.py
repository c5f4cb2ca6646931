"""From what a user wrote to a PipelineSpec.

Rules of this file:
1. Everything that is wrong is found in one pass, each with its place, as in a job spec; what needs
   the whole graph (cycles, the types of edges) is looked at once all steps are right by themselves.
2. The job of a step is read as POST /jobs would read it, with what only a run knows left out. What
   is stored is what was written: a run fills it in and reads it again.
3. What can't be proved before something runs is a warning, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from actors.core.dag.graph import Mention, cycle, mentions
from actors.core.dag.path import Path as DataPath
from actors.core.dag.path import read_path
from actors.core.dag.template import CODE, Ref, refs_in
from actors.core.pipeline_spec.edges import edge_problems
from actors.core.pipeline_spec.form import PIPELINE, STEP, STEP_NAME
from actors.core.spec.document import read_document
from actors.core.spec.form import AS_WRITTEN
from actors.core.spec.job import read_job
from actors.core.spec.json_schema import schema_problems
from actors.core.spec.kinds import read_fields
from actors.core.spec.problems import (
    Path,
    Place,
    Problems,
    TooManyProblemsError,
    did_you_mean,
    shown,
)
from actors.errors import Problem
from actors.limits import PIPELINE_STEPS
from actors.model.pipeline import InputFrom, MapOver, PipelineSpec, StepSpec
from actors.model.recurrence import Recurrence
from actors.model.spec import Trigger

__all__ = ["ReadPipeline", "parse_pipeline", "pipeline_from_mapping"]

Values = dict[str, Any]

_PAGE: Final = "pipeline-spec"
_SHOWN_STEPS: Final = 8
_STEP_TRIGGER: Final = ("at", "delay", "delay_secs", "delay_ms")


class ReadPipeline(NamedTuple):
    """A pipeline as it was read, and what could not be proved of it."""

    spec: PipelineSpec
    warnings: tuple[Problem, ...]
    recurrence: Recurrence | None = None  # of its `schedule`
    source: Trigger | None = None  # of its `trigger`: events or a webhook


def parse_pipeline(source: bytes, *, now_ms: int, filename: str = "") -> ReadPipeline:
    """Read a pipeline from YAML or JSON text; a `.json` filename means JSON.

    Raises InvalidSpec with all problems, each with line and column, and TooLarge.
    """
    document = read_document(source, filename, AS_WRITTEN, depth=2)
    reading = document.reading
    return _accept(document.value, reading.problems, reading.place, now_ms)


def pipeline_from_mapping(obj: Values, *, now_ms: int) -> ReadPipeline:
    """Read a pipeline from a mapping. Raises InvalidSpec (line and column 0), TooLarge."""
    return _accept(obj, Problems(), lambda path: (0, 0), now_ms)


def _accept(value: Any, problems: Problems, place: Place, now_ms: int) -> ReadPipeline:
    spec, warnings = None, Problems()
    reader = _Reader(value, problems, warnings, now_ms)
    try:
        if type(value) is dict:
            spec = reader.read()
        else:
            problems.add((), f"expected a mapping with name and jobs, got {shown(value)}")
    except TooManyProblemsError:
        spec = None  # those that were found are enough
    problems.raise_if_any(place, _PAGE)
    assert spec is not None, "without a problem there is a spec"
    listed = tuple(warnings.listed(place))
    return ReadPipeline(spec, listed, reader.recurrence, reader.source)


class _Reader:
    """Reads one mapping."""

    def __init__(self, obj: Values, problems: Problems, warnings: Problems, now_ms: int) -> None:
        self._obj = obj
        self._problems = problems
        self._warnings = warnings
        self._now_ms = now_ms
        self._where: dict[str, Path] = {}  # step → its place
        self.recurrence: Recurrence | None = None
        self.source: Trigger | None = None

    def read(self) -> PipelineSpec | None:
        """Return the spec, None when something is wrong."""
        obj, problems = self._obj, self._problems
        values = read_fields(PIPELINE, obj, (), problems)
        for key in ("name", "jobs"):
            if obj.get(key) is None:
                problems.add((key,), f"{key} is missing")
        self.recurrence = values.pop("schedule", None)
        if self.recurrence is not None:
            values["schedule"] = obj["schedule"]
        if (trigger := values.pop("trigger", None)) is not None:
            values["trigger"] = obj["trigger"]
            self._take_trigger(trigger)
        written = values.pop("jobs", {}) or {}, values.pop("finally", {}) or {}
        count = sum(map(len, written))
        if count > PIPELINE_STEPS:
            problems.add(("jobs",), f"{count} steps; PIPELINE_STEPS is {PIPELINE_STEPS}")
            return None
        if not written[0] and problems.clean("jobs"):
            problems.add(("jobs",), "a pipeline has a step at least")
        steps = [*self._steps("jobs", written[0]), *self._steps("finally", written[1])]
        self._check_inputs(values.get("inputs"))
        self._check_names(steps, values)
        if problems:
            return None
        self._check_cycle(steps)
        for path, message, is_proved in edge_problems(steps, self._where):
            (problems if is_proved else self._warnings).add(path, message)
        return None if problems else PipelineSpec(steps=tuple(steps), **values)

    def _take_trigger(self, trigger: Trigger) -> None:
        """Take what starts runs by itself; a moment of its own a pipeline has not."""
        if trigger.at_ms is not None or trigger.delay_ms is not None:
            self._problems.add(
                ("trigger",),
                "at and delay are for jobs; a schedule says when a pipeline runs",
            )
        elif trigger.recurrence is None:
            self.source = trigger if trigger.events or trigger.webhook else None
        elif self.recurrence is not None:
            self._problems.add(("trigger",), "schedule says the same; give one of them")
        else:
            self.recurrence = trigger.recurrence

    # -- steps

    def _steps(self, key: str, written: Values) -> Iterator[StepSpec]:
        for name, step in written.items():
            path: Path = (key, name)
            if STEP_NAME.read(name, path, self._problems) is None:
                continue
            if name in self._where:
                self._problems.add(path, f"a step {name} stands under jobs already")
                continue
            if type(step) is not dict:
                self._problems.add(path, f"expected a mapping, got {shown(step)}")
                continue
            self._where[name] = path
            yield self._step(name, step, path, is_final=key == "finally")

    def _step(self, name: str, step: Values, path: Path, *, is_final: bool) -> StepSpec:
        problems = self._problems
        own = {key: item for key, item in step.items() if key in STEP}
        job = {key: item for key, item in step.items() if key not in STEP and item is not None}
        values = read_fields(STEP, own, path, problems)
        sources = values.pop("input_from", None) or {}
        values["input_from"] = tuple(
            InputFrom(key, source["job"], _data_path(source.get("path", "$")))
            for key, source in sources.items()
            if source is not None
        )
        if "map" in values:
            values["map"] = _map_over(values["map"], (*path, "map"), problems)
        if sources and "input" in job:
            problems.add((*path, "input"), "input and input_from say the same; give one of them")
        if values.get("needs") and values.get("depends"):
            problems.add((*path, "depends"), "needs and depends say the same; give one of them")
        spec = StepSpec(name=name, job=job, is_final=is_final, **values)
        self._check_work(spec, path)
        return spec

    def _check_work(self, step: StepSpec, path: Path) -> None:
        """Check what a step does: one of a job, a pipeline and a gate."""
        problems, job = self._problems, step.job
        if step.gate is not None or step.pipeline:
            kind = "gate" if step.gate is not None else "pipeline"
            allowed = ("input",) if step.pipeline else ()
            if step.gate is not None and step.pipeline:
                problems.add((*path, "gate"), "a step is a gate or a pipeline, not both")
            for key in job:
                if key not in allowed:
                    problems.add((*path, key), f"{key} belongs to a job; this step is a {kind}")
            if step.gate is not None and (step.map is not None or step.input_from):
                key = "map" if step.map is not None else "input_from"
                problems.add((*path, key), f"a gate takes no {key}")
            return
        if "type" not in job:
            problems.add((*path, "type"), "a step has a type, a pipeline or a gate")
            return
        self._check_job(step, path)

    def _check_job(self, step: StepSpec, path: Path) -> None:
        """Read the job as POST /jobs would, without what only a run knows (rule 2)."""
        known = {"name": step.name, **step.job}
        dynamic = step.input_from or step.map is not None or any(refs_in(known.get("input")))
        if dynamic:
            known.pop("input", None)
            schema = known.pop("input_schema", None)
            if isinstance(schema, dict):
                for where, message in schema_problems(schema):
                    self._problems.add((*path, "input_schema", *where), message)
        for key in ("concurrency", "idempotency"):
            if key in known:
                known[key] = _without_holes(known[key])
        trigger = known.get("trigger")
        if isinstance(trigger, dict) and (odd := [k for k in trigger if k not in _STEP_TRIGGER]):
            self._problems.add(
                (*path, "trigger", str(odd[0])),
                f"{odd[0]} starts a pipeline, not a step: a step starts by what it needs,"
                " and may wait (delay, at)",
            )
            known.pop("trigger")
        found = Problems()
        read_job(known, found, self._now_ms)
        self._problems.take(found, path)
        for key in CODE & known.keys():
            self._check_code(known[key], (*path, key))

    def _check_code(self, code: Any, path: Path) -> None:
        """Refuse holes in text that something runs: data would become code there."""
        for _, ref in refs_in(code):
            if isinstance(ref, Ref):
                self._problems.add(
                    path,
                    f"${{{ref}}} would become code here; put it into environment and use that",
                )

    # -- names

    def _check_names(self, steps: list[StepSpec], values: Values) -> None:
        final = {step.name for step in steps if step.is_final}
        for step in steps:
            where = self._where[step.name]
            for mention in mentions(step):
                problem = mention.problem or self._wrong_step(step, mention, final)
                if problem:
                    self._problems.add((*where, *mention.path), problem)
            for path, message in _input_refs(step, values.get("inputs")):
                self._problems.add((*where, *path), message)
        for path, ref in refs_in(values.get("outputs", {})):
            if isinstance(ref, str):
                self._problems.add(("outputs", *path), ref)
            elif ref.root == "steps" and ref.name not in self._where:
                self._problems.add(("outputs", *path), self._unknown(ref.name))
            elif ref.root in ("item", "map"):
                self._problems.add(("outputs", *path), f"{ref} is for steps with `map`")
        limit = values.get("concurrency")
        for _, ref in refs_in(limit.key if limit is not None else ""):
            if isinstance(ref, str) or ref.root != "inputs":
                self._problems.add(
                    ("concurrency", "key"), "only ${inputs.NAME} is known before a run begins"
                )

    def _wrong_step(self, step: StepSpec, mention: Mention, final: set[str]) -> str:
        if mention.step == step.name:
            return f"{step.name} names itself"
        if mention.step not in self._where:
            return self._unknown(mention.step)
        if mention.step in final and not step.is_final:
            return f"{mention.step} is a step of finally, which begins when this one has ended"
        return ""

    def _unknown(self, name: str) -> str:
        return f"there is no step {shown(name)}{did_you_mean(name, self._where)}"

    def _check_inputs(self, schema: Any) -> None:
        if not isinstance(schema, dict) or not self._problems.clean("inputs"):
            return
        for path, message in schema_problems(schema):
            self._problems.add(("inputs", *path), message)
        if not schema.keys() & {"properties", "$ref", "additionalProperties", "patternProperties"}:
            self._problems.add(
                ("inputs",), "inputs is a JSON Schema of an object: its names stand in properties"
            )

    def _check_cycle(self, steps: list[StepSpec]) -> None:
        ahead = {
            step.name: {mention.step for mention in mentions(step) if mention.step}
            for step in steps
        }
        found = cycle(ahead)
        if found:
            names = found if len(found) <= _SHOWN_STEPS else [*found[:_SHOWN_STEPS], "…", found[0]]
            self._problems.add(self._where[found[0]], f"a cycle: {' → '.join(names)}")


def _data_path(text: str) -> DataPath:
    path = read_path(text.removeprefix("$"))
    assert path is not None, "the form lets only paths through"
    return path


def _map_over(values: Values, path: Path, problems: Problems) -> MapOver:
    least, over = values.get("min_success", -1), values["over"]
    if isinstance(over, str) and not _is_hole(over):
        problems.add((*path, "over"), "expected a list, or one template such as ${steps.a.output}")
    percent = int(least[:-1]) if isinstance(least, str) else 0
    count = -1 if isinstance(least, str) else least
    if isinstance(over, list) and count > len(over):
        problems.add((*path, "min_success"), f"more than there are items ({len(over)})")
    return MapOver(over, values.get("parallelism", 0), count, percent)


def _is_hole(text: str) -> bool:
    found = list(refs_in(text))
    return len(found) == 1 and text.startswith("${") and text.find("}") == len(text) - 1


def _without_holes(value: Any) -> Any:
    if isinstance(value, str):
        return "x" if "${" in value else value
    if isinstance(value, list):
        return [_without_holes(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_holes(item) for key, item in value.items()}
    return value


def _input_refs(step: StepSpec, schema: Any) -> Iterator[tuple[Path, str]]:
    """Yield the inputs that a step names and that the pipeline doesn't have."""
    known = schema.get("properties", {}) if isinstance(schema, dict) else {}
    if isinstance(schema, dict) and schema.get("additionalProperties", not known):
        return
    over = step.map.over if step.map is not None else None
    for path, ref in (*refs_in(step.job), *refs_in(over, ("map", "over"))):
        if isinstance(ref, Ref) and ref.root == "inputs" and ref.path:
            name = str(ref.path[0])
            if name not in known:
                yield path, f"the pipeline has no input {shown(name)}{did_you_mean(name, known)}"
