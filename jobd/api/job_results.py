"""Handlers of what a job leaves behind or says of itself: attempts, output, artifacts, explain."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.errors import NotFound
from actors.model import keys
from actors.model.job import Output
from jobd.api.call import Call, File, Reply
from jobd.api.cursor import make_cursor, read_number
from jobd.api.gateway import Gateway
from jobd.api.job_views import ArtifactView, AttemptView, artifacts_of, attempts_of, find_job
from jobd.api.past_jobs import check_present, view_of
from jobd.api.query import ListQuery, ReadQuery, TaskIndex
from jobd.api.route import JSON, Route

__all__ = ["ROUTES"]


_WAITING: Final = ("pending", "waiting")


class TaskQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which task of a fan-out."""

    task: TaskIndex = 0


class AttemptPage(msgspec.Struct, frozen=True):
    """Attempts by task and number."""

    items: list[AttemptView]
    next_cursor: str | None


class ArtifactPage(msgspec.Struct, frozen=True):
    """Artifacts by task."""

    items: list[ArtifactView]
    next_cursor: str | None


async def list_attempts(call: Call[ListQuery, None]) -> Reply:
    """List the attempts of a job's tasks."""
    job_id = call.path("id")
    view = await view_of(call.gateway, job_id)
    entry = find_job(view, job_id)
    limit, after = call.query.limit, read_number(call.query)
    items: list[AttemptView] = []
    for attempt in attempts_of(view, job_id, entry.noun, after):
        if len(items) >= limit and attempt.task != items[-1].task:
            return Reply(AttemptPage(items, make_cursor(str(attempt.task), call.query)))
        items.append(attempt)
    return Reply(AttemptPage(items, None))


async def explain_job(call: Call[ReadQuery, None]) -> Reply:
    """Say why a job is where it is, and what it waits for."""
    await check_present(call.gateway, call.path("id"))
    found = call.gateway.explain(call.path("id"))
    if found["state"] in _WAITING:
        found["reasons"] = _held_by_the_node(call.gateway) or found["reasons"]
    return Reply(found)


def _held_by_the_node(gateway: Gateway) -> list[dict[str, Any]]:
    """What keeps the node from starting anything: with that, nothing else is the reason."""
    return [{"code": held.type, "message": held.message} for held in gateway.node().conditions]


async def get_output(call: Call[TaskQuery, None]) -> Reply | File:
    """Return the JSON that a job (or one of its tasks) gave as its output."""
    job_id, task = call.path("id"), call.query.task
    view = await view_of(call.gateway, job_id)
    entry = view.get(keys.output(job_id, task))
    if entry is None:
        raise NotFound(f"task {task} of job {job_id} has no output")
    output: Output = entry.noun
    if output.json is None:
        path = await call.gateway.artifact_path(job_id, task, "output")
        return File(path, JSON)
    return Reply(output.json, etag=entry.revision)


async def list_artifacts(call: Call[ReadQuery, None]) -> Reply:
    """List the outputs of a job that were too large to be kept inline."""
    view = await view_of(call.gateway, call.path("id"))
    return Reply(ArtifactPage(artifacts_of(view, call.path("id")), None))


async def get_artifact(call: Call[TaskQuery, None]) -> File:
    """Return an artifact's bytes."""
    job_id, name = call.path("id"), call.path("name")
    view = await view_of(call.gateway, job_id)
    if not any((a.name, a.task) == (name, call.query.task) for a in artifacts_of(view, job_id)):
        raise NotFound(f"job {job_id} has no artifact {name!r}")
    path = await call.gateway.artifact_path(job_id, call.query.task, name)
    return File(path, "application/octet-stream", name)


ROUTES: Final = (
    Route(
        "GET",
        "/jobs/{id}/attempts",
        "read",
        list_attempts,
        "List a job's attempts",
        query=ListQuery,
        returns=AttemptPage,
    ),
    Route(
        "GET",
        "/jobs/{id}/explain",
        "read",
        explain_job,
        "Say why a job is where it is",
        query=ReadQuery,
        returns=dict[str, Any],
    ),
    Route(
        "GET",
        "/jobs/{id}/output",
        "read",
        get_output,
        "Get a job's output",
        query=TaskQuery,
        returns=Any,
        etag=True,
    ),
    Route(
        "GET",
        "/jobs/{id}/artifacts",
        "read",
        list_artifacts,
        "List a job's artifacts",
        query=ReadQuery,
        returns=ArtifactPage,
    ),
    Route(
        "GET",
        "/jobs/{id}/artifacts/{name}",
        "read",
        get_artifact,
        "Get an artifact's bytes",
        query=TaskQuery,
        returns=bytes,
        produces="application/octet-stream",
    ),
)
