"""The operations on pipelines and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jobd.api.events import EventPageView
from jobd.api.message import ApiReply
from jobd.api.pipelines import PipelinePage, PipelinePut, PipelineRead, RunBegun
from jobd.api.run_views import PipelineDetail, RunDetail
from jobd.api.runs import RunPage
from jobd.client.job_operations import JobLike, Spec, body_of, id_of
from jobd.client.operation import Operation, Query, nothing, operation, reads_as

__all__ = [
    "answer_gate",
    "cancel_run",
    "delete_pipeline",
    "draw_run",
    "get_pipeline",
    "get_run",
    "list_pipelines",
    "list_run_events",
    "list_runs",
    "put_pipeline",
    "rerun",
    "trigger_pipeline",
    "validate_pipeline",
]


def put_pipeline(name: str, spec: Spec, if_match: int | None) -> Operation[PipelinePut]:
    """Put a pipeline; the same content again changes nothing."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    return operation(
        "put_pipeline",
        reads_as(PipelinePut),
        params={"name": name},
        body=body_of(spec),
        headers=headers,
        again="safe" if if_match is None else "once",
    )


def validate_pipeline(spec: Spec) -> Operation[PipelineRead]:
    """Say what a pipeline means."""
    return operation("validate_pipeline", reads_as(PipelineRead), body=body_of(spec))


def list_pipelines(cursor: str | None, limit: int) -> Operation[PipelinePage]:
    """Return a page of pipelines."""
    query = {"cursor": cursor, "limit": limit}
    return operation("list_pipelines", reads_as(PipelinePage), query=query)


def get_pipeline(name: str) -> Operation[PipelineDetail]:
    """Return a pipeline with its spec."""
    return operation("get_pipeline", reads_as(PipelineDetail), params={"name": name})


def delete_pipeline(name: str, if_match: int | None) -> Operation[None]:
    """Delete a pipeline."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    params = {"name": name}
    return operation("delete_pipeline", nothing, params=params, headers=headers, again="once")


def trigger_pipeline(name: str, inputs: Mapping[str, Any], key: str) -> Operation[RunBegun]:
    """Begin a run."""
    body = msgspec.json.encode({"inputs": dict(inputs)})
    params = {"name": name}
    return operation("trigger_pipeline", reads_as(RunBegun), params=params, body=body, key=key)


def list_runs(query: Query, cursor: str | None, limit: int) -> Operation[RunPage]:
    """Return a page of runs."""
    page = {**query, "cursor": cursor, "limit": limit}
    return operation("list_runs", reads_as(RunPage), query=page)


def get_run(run: JobLike, wait_s: float = 0.0) -> Operation[RunDetail]:
    """Return a run, at once or when it has ended."""
    query = {"wait": f"{int(wait_s * 1_000)}ms"} if wait_s else {}
    params = {"id": id_of(run)}
    return operation("get_run", reads_as(RunDetail), params=params, query=query, takes_s=wait_s)


def cancel_run(run: JobLike, reason: str) -> Operation[RunDetail]:
    """Ask for a run's end; a second time asks for that of `finally` too."""
    body = msgspec.json.encode({"reason": reason})
    params = {"id": id_of(run)}
    return operation("cancel_run", reads_as(RunDetail), params=params, body=body, again="once")


def rerun(run: JobLike, since: str, key: str) -> Operation[RunBegun]:
    """Run an ended run again."""
    body = msgspec.json.encode({"from": since})
    return operation("rerun", reads_as(RunBegun), params={"id": id_of(run)}, body=body, key=key)


def answer_gate(run: JobLike, step: str, approve: bool, comment: str) -> Operation[RunDetail]:
    """Answer a gate."""
    body = msgspec.json.encode({"approve": approve, "comment": comment})
    params = {"id": id_of(run), "step": step}
    return operation("answer_gate", reads_as(RunDetail), params=params, body=body, again="once")


def list_run_events(run: JobLike, after: str | None, limit: int) -> Operation[EventPageView]:
    """Return a page of a run's events."""
    query = {"after": after, "limit": limit}
    params = {"id": id_of(run)}
    return operation("list_run_events", reads_as(EventPageView), params=params, query=query)


def draw_run(run: JobLike) -> Operation[bytes]:
    """Draw a run as SVG."""

    def picture(reply: ApiReply) -> bytes:
        return reply.body

    return operation("draw_run", picture, params={"id": id_of(run)})
