"""Handlers of /pipelines: put, validate, trigger, look, delete."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from actors.core.pipeline_spec import (
    ReadPipeline,
    parse_pipeline,
    pipeline_schema,
    written_form,
)
from actors.errors import InvalidInput
from actors.model import keys
from jobd.api.call import Call, Reply, once
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.jobs import PARSE_ON_LOOP_BYTES, YAML
from jobd.api.query import ListQuery, NoQuery, ReadQuery
from jobd.api.route import JSON, Route
from jobd.api.run_views import (
    PipelineDetail,
    PipelineView,
    find_pipeline,
    pipeline_detail,
    pipeline_view,
)

__all__ = ["ROUTES", "RunBegun"]

EXAMPLE: Final = {
    "name": "nightly",
    "jobs": {
        "fetch": {"type": "command", "shell": "echo '{\"rows\": 3}' > $JOBD_OUTPUT"},
        "report": {
            "type": "command",
            "cmd": "cat",
            "stdin": "input",
            "input_from": {"job": "fetch"},
        },
    },
}


class Warned(msgspec.Struct, frozen=True):
    """What could not be proved of a pipeline before it runs."""

    path: str
    line: int
    column: int
    message: str


class PipelinePut(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that was put; the same content leaves it at its revision."""

    name: str
    revision: int
    steps: int
    warnings: list[Warned]


class PipelineRead(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that is valid, as a user would write it, and what could not be proved of it.

    `differs`: it is not what is stored under its name.
    """

    spec: dict[str, Any]
    steps: int
    warnings: list[Warned]
    differs: bool


class PipelinePage(msgspec.Struct, frozen=True):
    """Pipelines by name."""

    items: list[PipelineView]
    next_cursor: str | None


class TriggerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run is given; defaults of the pipeline's inputs are filled in."""

    inputs: dict[str, Any] = {}


class RunBegun(msgspec.Struct, frozen=True):
    """A run that is durably begun; the key makes a repeat of the request safe."""

    run_id: str
    idempotency_key: str


async def put_pipeline(call: Call[NoQuery, bytes]) -> Reply:
    """Put a pipeline: what it was goes on in the runs that began with it.

    Everything that is wrong is told with its place; what can't be proved is a warning.
    """
    read, name = await _read(call), call.path("name")
    if read.spec.name != name:
        raise InvalidInput(f"the pipeline's name is {read.spec.name!r}, the path's {name!r}")
    revision = await call.gateway.pipelines.put(
        read,
        principal=call.principal.token_id,
        if_match=call.if_match,
        if_none_match=call.if_none_match,
    )
    body = PipelinePut(
        name=name, revision=revision, steps=len(read.spec.steps), warnings=_warnings(read)
    )
    return Reply(body, revision=revision, etag=revision)


async def validate_pipeline(call: Call[ReadQuery, bytes]) -> Reply:
    """Say what a pipeline means and whether it would change anything; nothing is put."""
    read = await _read(call)
    view, spec = call.gateway.view, written_form(read.spec)
    entry = view.get(keys.pipeline(read.spec.name))
    stored = None if entry is None else pipeline_detail(view, read.spec.name, entry).spec
    return Reply(
        PipelineRead(
            spec=spec,
            steps=len(read.spec.steps),
            warnings=_warnings(read),
            differs=spec != stored,
        )
    )


async def list_pipelines(call: Call[ListQuery, None]) -> Reply:
    """List pipelines by name."""
    limit, after = call.query.limit, read_cursor(call.query)
    items: list[PipelineView] = []
    for key, entry in call.gateway.view.scan("pipeline/", after and keys.pipeline(after)):
        if len(items) == limit:
            return Reply(PipelinePage(items, make_cursor(items[-1].name, call.query)))
        items.append(pipeline_view(keys.last(key), entry))
    return Reply(PipelinePage(items, None))


async def get_pipeline(call: Call[ReadQuery, None]) -> Reply:
    """Return a pipeline with its spec."""
    view, name = call.gateway.view, call.path("name")
    entry = find_pipeline(view, name)
    return Reply(pipeline_detail(view, name, entry), etag=entry.revision)


async def delete_pipeline(call: Call[NoQuery, None]) -> Reply:
    """Delete a pipeline; its runs go on. `If-Match` makes it conditional."""
    name = call.path("name")
    return Reply(revision=await call.gateway.pipelines.delete(name, if_match=call.if_match))


async def trigger_pipeline(call: Call[NoQuery, TriggerBody]) -> Reply:
    """Begin a run of a pipeline; 202 once it is durable."""
    name = call.path("name")
    written, run_id = await call.gateway.pipelines.trigger(
        name,
        call.body.inputs,
        principal=call.principal.token_id,
        request=call.request_key(f"trigger {name}"),
    )
    location = {"Location": f"/api/v1/runs/{run_id}"}
    return once(written, RunBegun(run_id, written.key), headers=location)


async def _read(call: Call[Any, bytes]) -> ReadPipeline:
    """Read a body; a large one is read off the loop."""
    body, now_ms = call.body, call.clock()
    if len(body) <= PARSE_ON_LOOP_BYTES:
        return parse_pipeline(body, now_ms=now_ms)
    return await asyncio.to_thread(parse_pipeline, body, now_ms=now_ms)


def _warnings(read: ReadPipeline) -> list[Warned]:
    return [Warned(*warning) for warning in read.warnings]


ROUTES: Final = (
    Route(
        "PUT",
        "/pipelines/{name}",
        "write",
        put_pipeline,
        "Put a pipeline",
        body=bytes,
        accepts=(JSON, *YAML),
        content=pipeline_schema,
        example=EXAMPLE,
        returns=PipelinePut,
        etag=True,
        conditional=True,
        errors=("invalid_spec",),
    ),
    Route(
        "POST",
        "/pipelines/validate",
        "read",
        validate_pipeline,
        "Say what a pipeline means",
        query=ReadQuery,
        body=bytes,
        accepts=(JSON, *YAML),
        content=pipeline_schema,
        example=EXAMPLE,
        returns=PipelineRead,
        errors=("invalid_spec",),
    ),
    Route(
        "GET",
        "/pipelines",
        "read",
        list_pipelines,
        "List pipelines",
        query=ListQuery,
        returns=PipelinePage,
    ),
    Route(
        "GET",
        "/pipelines/{name}",
        "read",
        get_pipeline,
        "Get a pipeline",
        query=ReadQuery,
        returns=PipelineDetail,
        etag=True,
    ),
    Route(
        "DELETE",
        "/pipelines/{name}",
        "write",
        delete_pipeline,
        "Delete a pipeline",
        status=204,
        conditional=True,
    ),
    Route(
        "POST",
        "/pipelines/{name}/trigger",
        "run",
        trigger_pipeline,
        "Begin a run",
        body=TriggerBody,
        returns=RunBegun,
        status=202,
        repeatable=True,
        headers=("Location",),
    ),
)
