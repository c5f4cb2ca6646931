"""Handlers of /runs: look, cancel, run again, answer gates, draw."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Final

import msgspec

from actors.core.dag.layers import layers_of
from actors.core.view import Entry
from actors.model import keys
from actors.model.run import Run, RunState
from jobd.api.call import Call, Reply, once
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.events import EventPageView, JobEventQuery, events_about
from jobd.api.graph_svg import draw
from jobd.api.pipelines import RunBegun
from jobd.api.query import ListQuery, NoQuery, ReadQuery, Wait, wait_seconds
from jobd.api.route import Route
from jobd.api.run_views import RunDetail, RunView, find_pipeline, find_run, run_detail, run_view

__all__ = ["ROUTES"]

SVG: Final = "image/svg+xml"
SCAN_CHUNK: Final = 200  # records looked at in one turn of the loop


class RunList(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which runs: of these states, of a pipeline, again of a run, part of a run, by their ids."""

    state: list[RunState] = []
    pipeline: str | None = None
    parent_run: str | None = None
    of_run: str | None = None
    id_prefix: str | None = None


class OwnRuns(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which of a pipeline's runs."""

    state: list[RunState] = []


class RunPage(msgspec.Struct, frozen=True):
    """Runs, the newest first."""

    items: list[RunView]
    next_cursor: str | None


class RunGet(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`wait` holds the answer back until the run has ended, or the time is over."""

    wait: Wait | None = None


class StopBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a run is cancelled."""

    reason: str = ""


class RerunBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """`from`: failed (what did not succeed, and all behind it), start, or a step."""

    since: str = "failed"


class GateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to a gate."""

    approve: bool
    comment: str = ""


async def list_runs(call: Call[RunList, None]) -> Reply:
    """List runs, the newest first."""
    return await _list(call, call.query)


async def list_pipeline_runs(call: Call[OwnRuns, None]) -> Reply:
    """List the runs of a pipeline, the newest first; also of one that is deleted by now."""
    query, name = call.query, call.path("name")
    wanted = RunList(state=query.state, pipeline=name, cursor=query.cursor, limit=query.limit)
    reply = await _list(call, wanted)
    if not reply.value.items:
        find_pipeline(call.gateway.view, name)
    return reply


async def _list(call: Call[RunList, None] | Call[OwnRuns, None], query: RunList) -> Reply:
    view, before, as_of = call.gateway.view, read_cursor(query), call.gateway.view.revision
    items: list[RunView] = []
    while True:
        chunk = list(islice(call.gateway.pipelines.newest_runs(before), SCAN_CHUNK))
        for before, entry in chunk:
            if not _is_wanted(query, before, entry):
                continue
            items.append(run_view(view, before, entry))
            if len(items) == query.limit:
                return Reply(RunPage(items, make_cursor(before, query)), revision=as_of)
        if len(chunk) < SCAN_CHUNK:
            return Reply(RunPage(items, None), revision=as_of)
        await asyncio.sleep(0)


def _is_wanted(query: RunList, run_id: str, entry: Entry) -> bool:
    run: Run = entry.noun
    return (
        (not query.state or run.state in query.state)
        and query.pipeline in (None, run.pipeline)
        and query.parent_run in (None, run.parent_run)
        and query.of_run in (None, run.of_run)
        and (query.id_prefix is None or run_id.startswith(query.id_prefix))
    )


async def get_run(call: Call[RunGet, None]) -> Reply:
    """Return one run with its steps, at once or when it has ended."""
    run_id = call.path("id")
    find_run(call.gateway.view, run_id)
    if call.query.wait is not None:
        await call.gateway.pipelines.wait(run_id, wait_seconds(call.query.wait))
    return _detail(call, run_id)


def _detail(call: Call[RunGet, None] | Call[NoQuery, StopBody], run_id: str) -> Reply:
    entry = find_run(call.gateway.view, run_id)
    return Reply(run_detail(call.gateway.view, run_id, entry), etag=entry.revision)


async def draw_run(call: Call[ReadQuery, None]) -> Reply:
    """Draw a run's graph, its steps in the colours of their states."""
    run_id = call.path("id")
    run = run_detail(call.gateway.view, run_id, find_run(call.gateway.view, run_id))
    layers = layers_of({step.name: step.needs for step in run.graph})
    return Reply(draw(run, layers).encode())


async def list_run_events(call: Call[JobEventQuery, None]) -> Reply:
    """List the events of a run and its steps."""
    run_id = call.path("id")
    find_run(call.gateway.view, run_id)
    return await events_about(call, keys.run(run_id))


async def cancel_run(call: Call[NoQuery, StopBody]) -> Reply:
    """Ask for a run's end; its steps of `finally` run. Asked again, they end too."""
    run_id = call.path("id")
    await call.gateway.pipelines.stop(run_id, call.body.reason, if_match=call.if_match)
    return _detail(call, run_id)


async def rerun(call: Call[NoQuery, RerunBody]) -> Reply:
    """Run an ended run again, as a new run that takes over what succeeded before."""
    run_id = call.path("id")
    written, new_id = await call.gateway.pipelines.rerun(
        run_id,
        call.body.since,
        principal=call.principal.token_id,
        request=call.request_key(f"rerun {run_id}"),
    )
    location = {"Location": f"/api/v1/runs/{new_id}"}
    return once(written, RunBegun(new_id, written.key), headers=location)


async def answer_gate(call: Call[NoQuery, GateBody]) -> Reply:
    """Approve or reject a gate that waits."""
    run_id = call.path("id")
    revision = await call.gateway.pipelines.answer(
        run_id,
        call.path("step"),
        approve=call.body.approve,
        comment=call.body.comment,
        principal=call.principal.token_id,
    )
    entry = find_run(call.gateway.view, run_id)
    return Reply(run_detail(call.gateway.view, run_id, entry), revision=revision)


ROUTES: Final = (
    Route("GET", "/runs", "read", list_runs, "List runs", query=RunList, returns=RunPage),
    Route(
        "GET",
        "/pipelines/{name}/runs",
        "read",
        list_pipeline_runs,
        "List a pipeline's runs",
        query=OwnRuns,
        returns=RunPage,
    ),
    Route(
        "GET",
        "/runs/{id}",
        "read",
        get_run,
        "Get a run",
        query=RunGet,
        returns=RunDetail,
        etag=True,
    ),
    Route(
        "GET",
        "/runs/{id}/graph.svg",
        "read",
        draw_run,
        "Draw a run",
        query=ReadQuery,
        returns=bytes,
        produces=SVG,
    ),
    Route(
        "GET",
        "/runs/{id}/events",
        "read",
        list_run_events,
        "List a run's events",
        query=JobEventQuery,
        returns=EventPageView,
    ),
    Route(
        "POST",
        "/runs/{id}/cancel",
        "run",
        cancel_run,
        "Cancel a run",
        body=StopBody,
        returns=RunDetail,
        etag=True,
        conditional=True,
    ),
    Route(
        "POST",
        "/runs/{id}/rerun",
        "run",
        rerun,
        "Run an ended run again",
        body=RerunBody,
        example={"from": "failed"},
        returns=RunBegun,
        status=202,
        repeatable=True,
        headers=("Location",),
        errors=("conflict",),
    ),
    Route(
        "POST",
        "/runs/{id}/gates/{step}",
        "run",
        answer_gate,
        "Answer a gate",
        body=GateBody,
        example={"approve": True, "comment": "looks good"},
        returns=RunDetail,
        errors=("conflict",),
    ),
)
