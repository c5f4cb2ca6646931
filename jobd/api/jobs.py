"""Handlers of /jobs: submit, list, look, cancel, retry, delete."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.spec import job_schema, parse_job
from actors.core.store.txn import EXISTS
from actors.core.view import View
from actors.errors import (
    Forbidden,
    IdempotencyMismatch,
    InvalidSpec,
    JobdError,
    PreconditionFailed,
    Problem,
)
from actors.model.job import TERMINAL
from actors.model.spec import JobSpec
from jobd.api.call import Call, Reply, once
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.gateway import Submitted, Until
from jobd.api.job_filter import JobList, job_filter, past_filter
from jobd.api.job_views import JobDetail, JobView, detail_of, find_job, job_view
from jobd.api.past_jobs import IN_PAST, add_past_jobs, check_present, view_of
from jobd.api.problem import ProblemDetails, problem_of
from jobd.api.query import NoQuery, ReadQuery, Wait, wait_seconds
from jobd.api.route import JSON, Route

__all__ = ["EXAMPLE", "ROUTES", "YAML", "read_spec"]

SCAN_CHUNK: Final = 200  # records looked at in one turn of the loop
PARSE_ON_LOOP_BYTES: Final = 16 * 1024
EXAMPLE: Final = {"name": "nightly", "type": "command", "shell": "echo done"}
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")


class JobGet(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`wait` holds the answer back until the job is as far as `until`, or the time is over."""

    wait: Wait | None = None
    until: Until = "terminal"


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: str = ""


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Specs of several jobs; all must be valid for any to be accepted."""

    jobs: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=limits.LIST_ITEMS)]


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job that is durably accepted; the key makes a repeat of the request safe.

    `defined` is what a spec defines instead of a job: `schedule/<name>` by a trigger that recurs,
    `trigger/<name>` by one for events or webhooks.
    Then there is no `id`.
    """

    id: str
    idempotency_key: str
    defined: str = ""


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one job of a batch: an id, or a problem."""

    id: str = ""
    idempotency_key: str = ""
    problem: ProblemDetails | None = None


class BatchReply(msgspec.Struct, frozen=True):
    """In the order of the request."""

    items: list[BatchItem]


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, the newest first."""

    items: list[JobView]
    next_cursor: str | None


async def submit_job(call: Call[NoQuery, bytes]) -> Reply:
    """Accept one job; 202 once it is durable. A recurring trigger, or one for
    events or webhooks, defines a schedule or a trigger: 201."""
    spec = await read_spec(call.body, call.clock())
    if spec.trigger.defines:
        return await _define(call, spec)
    made = await call.gateway.submit_job(
        spec,
        principal=call.principal.token_id,
        idempotency_key=call.idempotency_key,
        body_hash=hashlib.sha256(call.body).hexdigest(),
    )
    return _accepted(made)


async def submit_batch(call: Call[NoQuery, BatchBody]) -> Reply:
    """Accept several jobs, each by itself once all specs are valid."""
    bodies = [msgspec.json.encode(job) for job in call.body.jobs]
    specs = await _parse_all(bodies, call.clock())
    key = call.idempotency_key

    batch = hashlib.sha256(call.raw).hexdigest()
    replayed = 0

    async def submit(i: int) -> BatchItem:
        nonlocal replayed
        try:
            made = await call.gateway.submit_job(
                specs[i],
                principal=call.principal.token_id,
                idempotency_key=None if key is None else f"{key}.{i}",
                body_hash=batch if key else hashlib.sha256(bodies[i]).hexdigest(),
            )
        except JobdError as e:
            if i == 0 and isinstance(e, IdempotencyMismatch):
                raise
            return BatchItem(problem=problem_of(e))
        replayed += made.replayed
        return BatchItem(made.job_id, made.key)

    # The first stands for all: its key says whether this very batch was sent before.
    first = await submit(0)
    rest = await asyncio.gather(*map(submit, range(1, len(specs))))
    headers = {"Idempotent-Replayed": "true"} if replayed == len(specs) else {}
    status = 200 if replayed == len(specs) else None
    return Reply(BatchReply([first, *rest]), status=status, headers=headers)


async def list_jobs(call: Call[JobList, None]) -> Reply:
    """List jobs, the newest first: those of the store, then those that only the history has."""
    query, as_of = call.query, call.gateway.view.revision
    items: list[JobView] = []
    place: str | None = read_cursor(query)
    if not place or not place.startswith(IN_PAST):
        place = await _add_present_jobs(call, items, place or "")
    if place is None or place.startswith(IN_PAST):
        place = await _add_past_jobs(call, items, place or "")
    next_cursor = make_cursor(place, query) if place is not None else None
    return Reply(JobPage(items, next_cursor), revision=as_of)


async def _add_present_jobs(
    call: Call[JobList, None], items: list[JobView], place: str
) -> str | None:
    """Fill a page up from the store; return where to go on, None when there is nothing more."""
    query, view = call.query, call.gateway.view
    wanted, oldest, start = job_filter(query, call.clock())
    before = place or start
    while True:
        chunk = list(islice(call.gateway.newest_jobs(before), SCAN_CHUNK))
        for before, entry in chunk:
            if before < oldest:
                return None
            if wanted(before, entry.noun):
                items.append(job_view(view, before, entry))
                if len(items) == query.limit:
                    return before
        if len(chunk) < SCAN_CHUNK:
            return None
        await asyncio.sleep(0)


async def _add_past_jobs(call: Call[JobList, None], items: list[JobView], place: str) -> str | None:
    query, now_ms = call.query, call.clock()
    if query.state and TERMINAL.isdisjoint(query.state):
        return None
    return await add_past_jobs(
        call.gateway,
        items,
        query.limit,
        place,
        lambda before, limit: past_filter(query, now_ms, before, limit),
    )


async def get_job(call: Call[JobGet, None]) -> Reply:
    """Return one job, at once or when it is as far as `until` says."""
    job_id = call.path("id")
    view = await view_of(call.gateway, job_id)
    if call.query.wait is not None and view is call.gateway.view:
        await call.gateway.wait_job(job_id, call.query.until, wait_seconds(call.query.wait))
        view = await view_of(call.gateway, job_id)
    return _detail(view, job_id)


async def delete_job(call: Call[NoQuery, None]) -> Reply:
    """Delete a job that has ended, also from the history; `If-Match` makes it conditional."""
    job_id = call.path("id")
    view = await view_of(call.gateway, job_id)
    if view is call.gateway.view:
        await call.gateway.delete_job(job_id, call.if_match)
    elif call.if_match not in (None, EXISTS, view.revision):
        raise PreconditionFailed(f"job {job_id} is history", revision=view.revision)
    await call.gateway.past.delete(job_id)
    return Reply()


async def cancel_job(call: Call[NoQuery, CancelBody]) -> Reply:
    """Cancel a job, or ask the slots that run it to; `If-Match` makes it conditional."""
    job_id = call.path("id")
    view = await view_of(call.gateway, job_id)
    if view is not call.gateway.view:  # it ended long ago, and stays as it is
        return _detail(view, job_id)
    revision = await call.gateway.cancel_job(job_id, call.body.reason, call.if_match)
    return replace(_detail(call.gateway.view, job_id), revision=revision)


async def retry_job(call: Call[NoQuery, None]) -> Reply:
    """Submit the spec of a job that has ended as a new job."""
    await check_present(call.gateway, call.path("id"))
    made = await call.gateway.retry_job(
        call.path("id"),
        principal=call.principal.token_id,
        idempotency_key=call.idempotency_key,
        if_match=call.if_match,
    )
    return _accepted(made)


def _detail(view: View, job_id: str) -> Reply:
    detail = detail_of(view, job_id, find_job(view, job_id))
    return Reply(detail, etag=detail.revision)


async def _define(call: Call[NoQuery, bytes], spec: JobSpec) -> Reply:
    """Define what a spec with a trigger that recurs stands for."""
    if not call.principal.may("write"):
        raise Forbidden(
            "such a trigger defines what starts jobs again and again; that needs the scope write",
            remedy="take a token with it, or leave the trigger out to run the job now",
        )
    noun = "schedule" if spec.trigger.recurrence is not None else "trigger"
    gateway = call.gateway
    define = gateway.schedules.define if noun == "schedule" else gateway.hooks.define_job
    written = await define(
        spec, principal=call.principal.token_id, request=call.request_key("submit_job")
    )
    defined = Accepted("", written.key, f"{noun}/{spec.name}")
    headers = {"Location": f"/api/v1/{noun}s/{spec.name}"}
    reply = once(written, defined, headers=headers)
    return reply if written.replayed else replace(reply, status=201)


def _accepted(made: Submitted) -> Reply:
    location = {"Location": f"/api/v1/jobs/{made.job_id}"}
    return once(made, Accepted(made.job_id, made.key), headers=location)


async def read_spec(body: bytes, now_ms: int) -> JobSpec:
    """Return the spec of a body; a large one is read off the loop. Raises InvalidSpec, TooLarge."""
    if len(body) <= PARSE_ON_LOOP_BYTES:
        return parse_job(body, now_ms=now_ms)
    return await asyncio.to_thread(parse_job, body, now_ms=now_ms)


async def _parse_all(bodies: list[bytes], now_ms: int) -> list[JobSpec]:
    specs, problems = [], []
    for i, body in enumerate(bodies):
        try:
            specs.append(await read_spec(body, now_ms))
            if specs[-1].trigger.defines:
                text = "a schedule or a trigger is defined by itself: POST /jobs"
                problems.append(Problem(f"$.jobs[{i}].trigger", 0, 0, text))
        except InvalidSpec as e:
            problems += [Problem(f"$.jobs[{i}]{p.path[1:]}", 0, 0, p.message) for p in e.problems]
        if i % 16 == 15:
            await asyncio.sleep(0)
    if problems:
        raise InvalidSpec(problems)
    return specs


ROUTES: Final = (
    Route(
        "POST",
        "/jobs",
        "run",
        submit_job,
        "Submit a job",
        body=bytes,
        accepts=(JSON, *YAML),
        content=job_schema,
        example=EXAMPLE,
        returns=Accepted,
        status=202,
        repeatable=True,
        headers=("Location",),
        errors=("invalid_spec", "conflict"),
        others=(201,),
    ),
    Route(
        "POST",
        "/jobs/batch",
        "run",
        submit_batch,
        "Submit several jobs",
        body=BatchBody,
        example={"jobs": [EXAMPLE]},
        returns=BatchReply,
        status=202,
        repeatable=True,
        errors=("invalid_spec",),
    ),
    Route("GET", "/jobs", "read", list_jobs, "List jobs", query=JobList, returns=JobPage),
    Route(
        "GET",
        "/jobs/{id}",
        "read",
        get_job,
        "Get a job",
        query=JobGet,
        returns=JobDetail,
        etag=True,
    ),
    Route(
        "DELETE",
        "/jobs/{id}",
        "write",
        delete_job,
        "Delete a job that has ended",
        status=204,
        conditional=True,
        errors=("conflict",),
    ),
    Route(
        "POST",
        "/jobs/{id}/cancel",
        "run",
        cancel_job,
        "Cancel a job",
        body=CancelBody,
        returns=JobDetail,
        etag=True,
        conditional=True,
    ),
    Route(
        "POST",
        "/jobs/{id}/retry",
        "run",
        retry_job,
        "Submit the spec of a job that has ended anew",
        returns=Accepted,
        status=202,
        repeatable=True,
        conditional=True,
        headers=("Location",),
        errors=("conflict",),
    ),
)
