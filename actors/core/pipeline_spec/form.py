"""The keys of a pipeline and of its steps, beside those of a job spec."""

from __future__ import annotations

from typing import Any, Final

from actors.core.spec.form import COMMON, OWN
from actors.core.spec.kinds import (
    BOOLEAN,
    JSON,
    Field,
    Kind,
    choice,
    durations,
    either,
    integer,
    list_of,
    map_of,
    properties,
    record,
    text,
)
from actors.core.spec.problems import Path, Problems
from actors.core.spec.schedule import SCHEDULE, read_recurrence
from actors.core.spec.trigger import TRIGGER
from actors.limits import EXPRESSION_BYTES, MAP_ITEMS
from actors.model.ids import NAME_RE
from actors.model.pipeline import Gate, RunLimit

__all__ = ["PIPELINE", "STEP", "STEP_NAME", "pipeline_schema"]

_NAME: Final = text(NAME_RE.pattern, "a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters")
STEP_NAME: Final = text(
    r"[a-z0-9][a-z0-9_-]{0,62}", "a step's name of a-z, 0-9, `_`, `-`, at most 63 characters"
)
_EXPRESSION: Final = text(r"(?s:.*\S.*)", "an expression", lines=True, most=EXPRESSION_BYTES)
_SCHEMA: Final = map_of(text(lines=True), JSON)._replace(
    schema={"title": "JSON Schema of an object", "type": "object"}
)
_STEPS: Final = map_of(text(lines=True), JSON)
_DATA_PATH: Final = text(
    r"\$(\.[A-Za-z0-9_-]+|\[[0-9]{1,9}\])*", "a path such as $.rows or $.rows[0].id"
)
_SOURCE: Final = {
    "job": Field("job", STEP_NAME, "the step whose output it is"),
    "path": Field("path", _DATA_PATH, "the part of the output", "$"),
}


def _sources() -> Kind:
    """One source, or a mapping of the input's names to sources."""
    one = record(_SOURCE, dict, ("job",))
    many = map_of(text(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", "a key of the input"), one)

    def read(value: Any, path: Path, problems: Problems) -> dict[str, Any] | None:
        if isinstance(value, dict) and (not value or type(value.get("job", {})) is str):
            found = one.read(value, path, problems)
            return None if found is None else {"": found}
        return many.read(value, path, problems)  # type: ignore[no-any-return]

    return Kind({"anyOf": [one.schema, many.schema]}, read)


def _needs() -> Kind:
    many = list_of(STEP_NAME)

    def read_one(value: Any, path: Path, problems: Problems) -> tuple[str, ...] | None:
        name = STEP_NAME.read(value, path, problems)
        return None if name is None else (name,)

    one = Kind(STEP_NAME.schema, read_one)
    return either("a list of steps", {list: many, str: one})


_MAP: Final = {
    "over": Field(
        "over",
        either("a list, or a template of one", {list: JSON, str: text(lines=True)}),
        "the items",
    ),
    "parallelism": Field("parallelism", integer(0, MAP_ITEMS), "items at a time; 0: all", "0"),
    "min_success": Field(
        "min_success",
        either(
            "a count or a share such as 80%",
            {int: integer(0, MAP_ITEMS), str: text(r"([1-9][0-9]?|100)%", "a share such as 80%")},
        ),
        "items that must succeed",
        "all",
    ),
}
_GATE: Final = {
    **durations("timeout", "timeout_ms", "most that it waits for an answer"),
    "on_timeout": Field("on_timeout", choice("approve", "reject"), "what then", "reject"),
}
_LIMIT: Final = {
    "max": Field("max", integer(1, 10_000), "runs at a time, in the whole cluster"),
    "key": Field("key", text(lines=True), "runs with the same key count; `${inputs.NAME}`", '""'),
    "on_limit": Field(
        "on_limit",
        choice("queue", "cancel_running", "cancel_new", "fail"),
        "what a run does that finds no room",
        "queue",
    ),
}


def _schedule() -> Kind:
    """A cron expression, a list of them, or a mapping of a schedule's keys."""
    line = {"type": "string"}
    mapping = {
        "type": "object",
        "properties": properties(SCHEDULE),
        "additionalProperties": False,
    }
    schema = {"anyOf": [line, {"type": "array", "items": line}, mapping]}
    return Kind(schema, read_recurrence)


PIPELINE: Final[dict[str, Field]] = {
    "name": Field("name", _NAME, "what it is triggered by"),
    "schedule": Field("schedule", _schedule(), "when it runs by itself", "when it is triggered"),
    "trigger": Field("trigger", TRIGGER, "the same, or events or a webhook that start it", "none"),
    "labels": Field("labels", COMMON["labels"].kind, "its runs have them too", "{}"),
    "inputs": Field("inputs", _SCHEMA, "what a run takes, defaults included", "nothing"),
    "jobs": Field("jobs", _STEPS, "the steps, by their names"),
    "finally": Field("finally", _STEPS, "steps that run at the end, whatever it is", "{}"),
    "outputs": Field("outputs", map_of(text(lines=True), JSON), "what a run puts out", "{}"),
    "concurrency": Field(
        "concurrency", record(_LIMIT, RunLimit, ("max",)), "how many runs go at a time", "any"
    ),
    **durations("timeout", "timeout_ms", "most that a run takes, `finally` left out"),
}
STEP: Final[dict[str, Field]] = {
    "needs": Field("needs", _needs(), "steps that must have succeeded", "[]"),
    "depends": Field("depends", _EXPRESSION, "a condition on states of steps, instead"),
    "if": Field("condition", _EXPRESSION, "a condition on data; where it is false: skipped"),
    "input_from": Field("input_from", _sources(), "outputs that become its input"),
    "map": Field("map", record(_MAP, dict, ("over",)), "once for each item of a list"),
    "continue_on_failure": Field(
        "continue_on_failure", BOOLEAN, "its failure is passed over, with a warning", "false"
    ),
    "pipeline": Field("pipeline", _NAME, "runs that pipeline, instead of a job"),
    "gate": Field("gate", record(_GATE, Gate), "waits for an approval, instead of a job"),
}


def pipeline_schema() -> dict[str, Any]:
    """Return the JSON Schema of what a user writes; what needs several keys is not said there."""
    jobs = {**COMMON, **OWN["js"], **OWN["container"], **OWN["command"]}
    step = {
        "type": "object",
        "properties": {**properties(jobs), **properties(STEP)},
        "additionalProperties": False,
    }
    steps = {"type": "object", "propertyNames": STEP_NAME.schema, "additionalProperties": step}
    keys = properties(PIPELINE)
    for name in ("jobs", "finally"):
        keys[name] = {**keys[name], **steps}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "JobD pipeline",
        "type": "object",
        "required": ["name", "jobs"],
        "properties": keys,
        "additionalProperties": False,
    }
