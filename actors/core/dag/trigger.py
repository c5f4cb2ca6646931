"""Begin a run: what a request, a schedule, an event, a webhook, a hook or another run starts.

Rules of this file:
B1  absent(run), absent(both buckets of its id): an id is begun once, ever, as a job's (R11).
B2  The run names a definition by its digest, and its head is put again (definition.py, B2): so it
    pins what it runs, and nobody deletes that under it.
B3  A run begins `pending`; its first advance starts its steps, or has it wait under the pipeline's
    concurrency limit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from actors import limits
from actors.core import buckets
from actors.core.dag.definition import plan_of, refer
from actors.core.dag.draft import run_event
from actors.core.dag.states import first_run
from actors.core.spec.json_schema import value_problems
from actors.core.spec.problems import format_path
from actors.core.store.txn import Txn, absent
from actors.core.view import View
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.pipeline import PipelineSpec
from actors.model.run import RUN_TERMINAL, Run

__all__ = ["NotBegun", "begin", "inputs_of", "takes_input", "trigger"]

_PROBLEMS = 5


class NotBegun(NamedTuple):
    """Why no run was begun: a word (`pipeline`, `inputs`, `depth`, `rerun`), and a sentence."""

    reason: str
    detail: str


def trigger(
    view: View,
    name: str,
    *,
    run_id: str,
    inputs: Any,
    now_ms: int,
    cause: Cause | None = None,
    principal: str = "",
    trace: str = "",
    body_hash: str = "",
    of: tuple[str, str] = ("", ""),
) -> Txn | NotBegun:
    """Return the transaction that begins a run of a pipeline; `of` is the run and step it is for.

    `inputs` is a mapping, or None for none.
    """
    entry = view.get(keys.pipeline(name))
    plan = plan_of(view, entry.noun.definition) if entry is not None else None
    if entry is None or plan is None:
        return NotBegun("pipeline", f"there is no pipeline {name!r}")
    given = inputs_of(plan.spec, inputs)
    if isinstance(given, NotBegun):
        return given
    run = Run(
        state=first_run("trigger", "pending"),
        since_ms=now_ms,
        pipeline=name,
        definition=entry.noun.definition,
        pipeline_revision=entry.revision,
        created_ms=now_ms,
        inputs=given,
        of_run=of[0],
        of_step=of[1],
        cause=cause,
        principal=principal,
        trace=trace,
        body_hash=body_hash,
        labels=plan.spec.labels,
    )
    return begin(view, run_id, run, now_ms)


def takes_input(view: View, name: str, key: str) -> bool:
    """Say whether a pipeline has an input of this name."""
    entry = view.get(keys.pipeline(name))
    plan = plan_of(view, entry.noun.definition) if entry is not None else None
    return plan is not None and key in (plan.spec.inputs or {}).get("properties", {})


def begin(view: View, run_id: str, run: Run, now_ms: int) -> Txn | NotBegun:
    """Return the transaction that puts a new run (B1, B2)."""
    reference = refer(view, run.definition)
    if reference is None:
        return NotBegun("pipeline", f"the definition of {run.pipeline} is not there any more")
    check, op = reference
    fine, hour = buckets.buckets_of(run_id)
    key = keys.run(run_id)
    return Txn(
        checks=(absent(key), absent(fine), absent(hour), check),
        ops=((key, encode(run)), op),
        events=(run_event("triggered", run_id, run),),
        now_ms=now_ms,
    )


def inputs_of(spec: PipelineSpec, given: Any) -> dict[str, Any] | NotBegun:
    """Return the inputs of a run: what was given, defaults filled in, held against the schema."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return NotBegun("inputs", "the inputs are a mapping of names to values")
    schema = spec.inputs or {"type": "object", "maxProperties": 0}
    known = schema.get("properties", {})
    defaults = {
        name: item["default"]
        for name, item in known.items()
        if isinstance(item, dict) and "default" in item
    }
    values = defaults | given
    size = len(msgspec.json.encode(values))
    if size > limits.RUN_INPUT_BYTES:
        most = limits.RUN_INPUT_BYTES
        return NotBegun("inputs", f"the inputs take {size} bytes; RUN_INPUT_BYTES is {most}")
    if known and "additionalProperties" not in schema:  # a slip of the finger is no input
        schema = schema | {"additionalProperties": False}
    found = value_problems(schema, values, _PROBLEMS)
    if found:
        said = "; ".join([f"{format_path(path)}: {message}" for path, message in found])
        return NotBegun("inputs", said)
    return values


def is_open(view: View, run_id: str) -> bool:
    """Say whether a run is in the view and has not ended."""
    entry = view.get(keys.run(run_id))
    return entry is not None and entry.noun.state not in RUN_TERMINAL
