"""Handlers of what a job leaves behind or says of itself: attempts, output, artifacts, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from actors.core.view import View
from actors.errors import NotFound
from actors.model import keys
from actors.model.job import Output
from jobd.api.call import Call, File, Pieces, Reply
from jobd.api.causes import chain_of
from jobd.api.cursor import make_cursor, read_number
from jobd.api.gateway import Gateway
from jobd.api.job_views import (
    ArtifactView,
    AttemptView,
    artifacts_of,
    attempts_of,
    find_job,
    node_of_attempt,
    progress_of,
)
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
    """Say why a job is where it is, what it waits for, and which node decides first (`home`).

    `causes` is the chain of what started it, the nearest first, back to where it began.
    """
    job_id, gateway = call.path("id"), call.gateway
    await check_present(gateway, job_id)
    found = gateway.explain(job_id)
    if found["state"] in _WAITING:
        found["reasons"] = _held_by_the_node(gateway) or found["reasons"]
    found["causes"] = msgspec.to_builtins(await chain_of(gateway, job_id))
    found["home"] = gateway.cluster.home_of(keys.job(job_id))
    return Reply(found)


def _held_by_the_node(gateway: Gateway) -> list[dict[str, Any]]:
    """What keeps the only node from starting anything: with that, nothing else is the reason."""
    if sum(node.state == "up" for node in gateway.cluster.nodes()) > 1:
        return []
    return [{"code": held.type, "message": held.message} for held in gateway.node().conditions]


async def get_output(call: Call[TaskQuery, None]) -> Reply | File | Pieces:
    """Return the JSON that a job (or one of its tasks) gave as its output."""
    job_id, task = call.path("id"), call.query.task
    view = await view_of(call.gateway, job_id)
    entry = view.get(keys.output(job_id, task))
    if entry is None:
        raise NotFound(f"task {task} of job {job_id} has no output")
    output: Output = entry.noun
    if output.json is None:
        return await _file(call, view, "output", output.size_bytes, JSON)
    return Reply(output.json, etag=entry.revision)


async def list_artifacts(call: Call[ReadQuery, None]) -> Reply:
    """List the outputs of a job that were too large to be kept inline."""
    view = await view_of(call.gateway, call.path("id"))
    return Reply(ArtifactPage(artifacts_of(view, call.path("id")), None))


async def get_artifact(call: Call[TaskQuery, None]) -> File | Pieces:
    """Return an artifact's bytes."""
    job_id, name = call.path("id"), call.path("name")
    view = await view_of(call.gateway, job_id)
    for found in artifacts_of(view, job_id):
        if (found.name, found.task) == (name, call.query.task):
            return await _file(call, view, name, found.size_bytes, "application/octet-stream", name)
    raise NotFound(f"job {job_id} has no artifact {name!r}")


async def _file(
    call: Call[TaskQuery, None],
    view: View,
    artifact: str,
    size_bytes: int,
    content_type: str,
    name: str = "",
) -> File | Pieces:
    """Return an artifact from the node of the attempt that made it: the task's last."""
    job_id, task = call.path("id"), call.query.task
    progress = progress_of(view, job_id, task)
    node = node_of_attempt(view, job_id, task, progress.n) if progress is not None else None
    found = await call.gateway.artifact(job_id, task, artifact, node=node)
    if isinstance(found, Path):
        return File(found, content_type, name)
    return Pieces(found, content_type, size_bytes, name)


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
        errors=("node_unreachable",),
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
        errors=("node_unreachable",),
    ),
)
