"""Handlers of /jobs: submit, list, look, cancel, retry, delete."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from actors import limits
from actors.core.spec import job_schema, parse_job
from actors.errors import InvalidSpec, JobdError, Problem, TooLarge
from actors.model.job import Job, JobState
from actors.model.spec import JobSpec
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.gateway import Submitted, Until
from jobd.api.job_views import JobDetail, JobView, detail_of, find_job, job_view
from jobd.api.problem import ProblemDetails, problem_of
from jobd.api.query import ListQuery, NoQuery, ReadQuery, check_limit, wait_seconds
from jobd.api.route import JSON, Route

__all__ = ["ROUTES", "YAML", "read_spec"]

SCAN_CHUNK: Final = 200  # records looked at in one turn of the loop
_ABOVE_IDS: Final = "~"  # sorts behind every character of an id
PARSE_ON_LOOP_BYTES: Final = 16 * 1024
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")


class JobList(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Filters of a list of jobs: values of one parameter are alternatives, parameters all hold."""

    state: list[JobState] = []
    type: list[Literal["command", "container", "js"]] = []
    label: list[str] = []  # k=v, k:v or k
    name: str | None = None
    id_prefix: str | None = None
    q: str | None = None  # part of a name, or the beginning of an id


class JobGet(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`wait` holds the answer back until the job is as far as `until`, or the time is over."""

    wait: str | None = None
    until: Until = "terminal"


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: str = ""


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Specs of several jobs; all must be valid for any to be accepted."""

    jobs: list[dict[str, Any]]


class Accepted(msgspec.Struct, frozen=True):
    """A job that is durably accepted; the key makes a repeat of the request safe."""

    id: str
    idempotency_key: str


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
    """Accept one job; 202 once it is durable."""
    spec = await read_spec(call.body, call.clock())
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
    if not 0 < len(bodies) <= limits.LIST_ITEMS:
        raise TooLarge(f"a batch has 1 to {limits.LIST_ITEMS} jobs (LIST_ITEMS)")
    specs = await _parse_all(bodies, call.clock())
    key = call.idempotency_key

    async def submit(i: int) -> BatchItem:
        try:
            made = await call.gateway.submit_job(
                specs[i],
                principal=call.principal.token_id,
                idempotency_key=None if key is None else f"{key}.{i}",
                body_hash=hashlib.sha256(bodies[i]).hexdigest(),
            )
        except JobdError as e:
            return BatchItem(problem=problem_of(e))
        return BatchItem(made.job_id, made.key)

    return Reply(BatchReply(list(await asyncio.gather(*map(submit, range(len(specs)))))))


async def list_jobs(call: Call[JobList, None]) -> Reply:
    """List jobs, the newest first."""
    query, view = call.query, call.gateway.view
    limit = check_limit(query.limit)
    wanted = _filter(query)
    prefix = query.id_prefix or ""
    before = read_cursor(query) or (prefix and prefix + _ABOVE_IDS)
    items: list[JobView] = []
    while len(items) < limit:
        chunk = list(islice(call.gateway.newest_jobs(before), SCAN_CHUNK))
        for before, entry in chunk:
            if before < prefix:
                return Reply(JobPage(items, None))
            if wanted(before, entry.noun):
                items.append(job_view(view, before, entry))
                if len(items) == limit:
                    break
        else:
            if len(chunk) < SCAN_CHUNK:
                return Reply(JobPage(items, None))
            await asyncio.sleep(0)
    return Reply(JobPage(items, make_cursor(before, query)))


async def get_job(call: Call[JobGet, None]) -> Reply:
    """Return one job, at once or when it is as far as `until` says."""
    job_id = call.path("id")
    find_job(call.gateway.view, job_id)
    if call.query.wait is not None:
        await call.gateway.wait_job(job_id, call.query.until, wait_seconds(call.query.wait))
    entry = find_job(call.gateway.view, job_id)
    return Reply(detail_of(call.gateway.view, job_id, entry), etag=entry.revision)


async def delete_job(call: Call[NoQuery, None]) -> Reply:
    """Delete a job that has ended."""
    find_job(call.gateway.view, call.path("id"))
    await call.gateway.delete_job(call.path("id"))
    return Reply()


async def cancel_job(call: Call[NoQuery, CancelBody]) -> Reply:
    """Cancel a job, or ask the slots that run it to."""
    job_id = call.path("id")
    find_job(call.gateway.view, job_id)
    revision = await call.gateway.cancel_job(job_id, call.body.reason, call.if_match)
    entry = find_job(call.gateway.view, job_id)
    return Reply(
        detail_of(call.gateway.view, job_id, entry), revision=revision, etag=entry.revision
    )


async def retry_job(call: Call[NoQuery, None]) -> Reply:
    """Submit the spec of a job that has ended as a new job."""
    find_job(call.gateway.view, call.path("id"))
    made = await call.gateway.retry_job(
        call.path("id"),
        principal=call.principal.token_id,
        idempotency_key=call.idempotency_key,
    )
    return _accepted(made)


def _accepted(made: Submitted) -> Reply:
    headers = {"Location": f"/api/v1/jobs/{made.job_id}"}
    if made.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Reply(
        Accepted(made.job_id, made.key),
        status=200 if made.replayed else 202,
        revision=made.revision,
        headers=headers,
    )


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
        except InvalidSpec as e:
            problems += [Problem(f"$.jobs[{i}]{p.path[1:]}", 0, 0, p.message) for p in e.problems]
        if i % 16 == 15:
            await asyncio.sleep(0)
    if problems:
        raise InvalidSpec(problems)
    return specs


def _filter(query: JobList) -> Callable[[str, Job], bool]:
    labels = [_label(text) for text in query.label]

    def wanted(job_id: str, job: Job) -> bool:
        return (
            (not query.state or job.state in query.state)
            and (not query.type or job.type in query.type)
            and (query.name is None or job.name == query.name)
            and (query.id_prefix is None or job_id.startswith(query.id_prefix))
            and (query.q is None or query.q in job.name or job_id.startswith(query.q))
            and all(
                name in job.labels and value in (None, job.labels[name]) for name, value in labels
            )
        )

    return wanted


def _label(text: str) -> tuple[str, str | None]:
    for separator in "=:":
        name, found, value = text.partition(separator)
        if found:
            return name, value
    return text, None


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
        returns=Accepted,
        status=202,
        repeatable=True,
    ),
    Route(
        "POST",
        "/jobs/batch",
        "run",
        submit_batch,
        "Submit several jobs",
        body=BatchBody,
        returns=BatchReply,
        status=202,
        repeatable=True,
    ),
    Route("GET", "/jobs", "read", list_jobs, "List jobs", query=JobList, returns=JobPage),
    Route("GET", "/jobs/{id}", "read", get_job, "Get a job", query=JobGet, returns=JobDetail),
    Route("DELETE", "/jobs/{id}", "write", delete_job, "Delete a job that has ended", status=204),
    Route(
        "POST",
        "/jobs/{id}/cancel",
        "run",
        cancel_job,
        "Cancel a job",
        body=CancelBody,
        returns=JobDetail,
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
    ),
)
