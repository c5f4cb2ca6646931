"""The operations on jobs: one function each, from what a caller gives to what the API takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from jobd.api.job_logs import LogPageView
from jobd.api.job_plan import Plan
from jobd.api.job_results import ArtifactPage, AttemptPage
from jobd.api.job_views import JobDetail
from jobd.api.jobs import Accepted, BatchReply, JobPage
from jobd.api.message import ApiReply
from jobd.client.operation import Operation, Query, nothing, operation, reads_as

__all__ = [
    "JobLike",
    "Spec",
    "body_of",
    "cancel_job",
    "delete_job",
    "explain_job",
    "get_artifact",
    "get_job",
    "get_output",
    "id_of",
    "list_artifacts",
    "list_attempts",
    "list_jobs",
    "plan_job",
    "read_logs",
    "retry_job",
    "stream_logs",
    "submit_batch",
    "submit_job",
]


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


JobLike: TypeAlias = str | _HasId
Spec: TypeAlias = Mapping[str, Any] | str | bytes | os.PathLike[str]


def id_of(job: JobLike) -> str:
    """Return a job's id, of the id itself or of whatever has one: a view, an acceptance."""
    found = job if isinstance(job, str) else getattr(job, "id", None)
    if not isinstance(found, str):
        raise TypeError(f"a job is its id, or what has one, not {type(job).__name__}")
    return found


def submit_job(spec: Spec, key: str) -> Operation[Accepted]:
    """Submit a job."""
    return operation("submit_job", reads_as(Accepted), body=body_of(spec), key=key)


def submit_batch(specs: Iterable[Mapping[str, Any]], key: str) -> Operation[BatchReply]:
    """Submit several jobs."""
    body = msgspec.json.encode({"jobs": list(specs)})
    return operation("submit_batch", reads_as(BatchReply), body=body, key=key)


def plan_job(spec: Spec) -> Operation[Plan]:
    """Say what a spec would become."""
    return operation("plan_job", reads_as(Plan), body=body_of(spec))


def list_jobs(query: Query, cursor: str | None, limit: int) -> Operation[JobPage]:
    """Return a page of jobs."""
    return operation(
        "list_jobs", reads_as(JobPage), query={**query, "cursor": cursor, "limit": limit}
    )


def get_job(job: JobLike, wait_s: float = 0.0, until: str = "terminal") -> Operation[JobDetail]:
    """Return a job, at once or when it is as far as `until`."""
    query = {"wait": f"{int(wait_s * 1_000)}ms", "until": until} if wait_s else {}
    return operation(
        "get_job", reads_as(JobDetail), params={"id": id_of(job)}, query=query, takes_s=wait_s
    )


def cancel_job(job: JobLike, reason: str) -> Operation[JobDetail]:
    """Cancel a job; of one that has ended it changes nothing, so it may be asked twice."""
    body = msgspec.json.encode({"reason": reason})
    return operation("cancel_job", reads_as(JobDetail), params={"id": id_of(job)}, body=body)


def retry_job(job: JobLike, key: str) -> Operation[Accepted]:
    """Submit the spec of a job that has ended as a new job."""
    return operation("retry_job", reads_as(Accepted), params={"id": id_of(job)}, key=key)


def delete_job(job: JobLike) -> Operation[None]:
    """Delete a job that has ended."""
    return operation("delete_job", nothing, params={"id": id_of(job)}, again="once", takes_s=15.0)


def explain_job(job: JobLike) -> Operation[dict[str, Any]]:
    """Say why a job is where it is."""
    return operation("explain_job", reads_as(dict[str, Any]), params={"id": id_of(job)})


def list_attempts(job: JobLike, cursor: str | None, limit: int) -> Operation[AttemptPage]:
    """Return a page of a job's attempts."""
    return operation(
        "list_attempts",
        reads_as(AttemptPage),
        params={"id": id_of(job)},
        query={"cursor": cursor, "limit": limit},
    )


def list_artifacts(job: JobLike) -> Operation[ArtifactPage]:
    """Return a job's artifacts."""
    return operation("list_artifacts", reads_as(ArtifactPage), params={"id": id_of(job)})


def get_output(job: JobLike, task: int) -> Operation[bytes]:
    """Return a job's output; a large one comes in pieces."""
    return operation("get_output", _body_of, params={"id": id_of(job)}, query={"task": task})


def get_artifact(job: JobLike, name: str, task: int) -> Operation[bytes]:
    """Return an artifact in pieces."""
    params = {"id": id_of(job), "name": name}
    return operation("get_artifact", _body_of, params=params, query={"task": task})


def read_logs(job: JobLike, query: Query) -> Operation[LogPageView]:
    """Return a page of an attempt's log."""
    return operation("read_logs", reads_as(LogPageView), params={"id": id_of(job)}, query=query)


def stream_logs(job: JobLike, query: Query) -> Operation[None]:
    """Follow a job's log."""
    return operation("stream_logs", nothing, params={"id": id_of(job)}, query=query)


def body_of(spec: Spec) -> bytes:
    """Return a spec as the node reads it. A path is read here; a text is YAML or JSON itself."""
    if isinstance(spec, os.PathLike):
        return Path(spec).read_bytes()
    if isinstance(spec, Mapping):
        return msgspec.json.encode(spec)
    if not isinstance(spec, bytes | str):
        raise TypeError(f"a spec is a mapping, YAML text or a path, not {type(spec).__name__}")
    return spec if isinstance(spec, bytes) else spec.encode()


def _body_of(reply: ApiReply) -> bytes:
    return reply.body
