"""How jobs, attempts and outputs look on the wire, made from their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from actors.core.view import Entry, View
from actors.errors import NotFound
from actors.model import keys
from actors.model.cause import Cause, CauseKind
from actors.model.ids import is_id
from actors.model.job import (
    TERMINAL,
    Attempt,
    Job,
    JobState,
    Outcome,
    Output,
    Progress,
    Summary,
    Task,
)
from actors.model.spec import JobType
from jobd.api.stamp import Stamp, stamp, stamp_or_none

__all__ = [
    "ArtifactView",
    "AttemptView",
    "CauseView",
    "JobDetail",
    "JobView",
    "artifacts_of",
    "attempts_of",
    "cause_view",
    "detail_of",
    "find_job",
    "job_view",
    "node_of_attempt",
    "normal_form",
    "progress_of",
    "revision_of",
]


class CauseView(msgspec.Struct, frozen=True, kw_only=True):
    """What started a job, if no request did; `depth` counts the causes behind that one."""

    kind: CauseKind
    id: str
    depth: int


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list. Times are RFC 3339; what has not come yet is null."""

    id: str
    name: str
    type: JobType
    state: JobState
    reason: str
    detail: str
    priority: int
    labels: dict[str, str]
    tasks: int
    attempt: int
    submitted_at: Stamp
    since: Stamp
    started_at: Stamp | None
    finished_at: Stamp | None
    due_at: Stamp | None
    node: str | None
    exit_code: int | None
    signal: int | None
    cancel_requested: bool
    retry_of: str | None
    cause: CauseView | None
    run: str | None
    step: str | None
    revision: int


class JobDetail(JobView, frozen=True, kw_only=True):
    """A job by itself: also its spec in normal form and, of a fan-out, how its tasks stand."""

    spec: dict[str, Any]
    task_states: dict[str, int]


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a task; `fence` is null once it has ended."""

    task: int
    attempt: int
    outcome: Literal["running", Outcome]
    reason: str
    detail: str
    node: str
    started_at: Stamp
    ended_at: Stamp | None
    exit_code: int | None
    signal: int | None
    cpu_ms: int
    max_rss_bytes: int
    fence: int | None


class ArtifactView(msgspec.Struct, frozen=True, kw_only=True):
    """An output that is kept as a file."""

    name: str
    task: int
    size_bytes: int
    digest: str


def job_view(view: View, job_id: str, entry: Entry) -> JobView:
    """Return how a job looks in a list."""
    return JobView(**_fields(view, job_id, entry))


def detail_of(view: View, job_id: str, entry: Entry) -> JobDetail:
    """Return how a job looks by itself."""
    job: Job = entry.noun
    spec = view.get(keys.spec(job_id))
    members = view.scan(keys.tasks_of(job_id)) if job.tasks > 1 else ()
    shown = _fields(view, job_id, entry) | {"revision": revision_of(view, job_id, entry)}
    return JobDetail(
        **shown,
        spec=normal_form(spec.noun) if spec is not None else {},
        task_states=dict(Counter(task.noun.state for _, task in members)),
    )


def revision_of(view: View, job_id: str, entry: Entry) -> int:
    """Return the revision of a job as it is shown: of its record and, of a fan-out, its tasks."""
    members = view.scan(keys.tasks_of(job_id)) if entry.noun.tasks > 1 else ()
    return max([entry.revision, *(task.revision for _, task in members)])


def progress_of(view: View, job_id: str, task: int) -> Progress | None:
    """Return the record that carries a task's attempts: the task's own, or the job's without one.

    None while there is none: the job is gone, or it has no such task, or has not made it yet.
    """
    entry = view.get(keys.job(job_id))
    if entry is not None and (entry.noun.tasks > 1 or task != 0):
        entry = view.get(keys.task(job_id, task))
    return entry.noun if entry is not None else None


def node_of_attempt(view: View, job_id: str, task: int, n: int) -> str | None:
    """Return the node where an attempt ran or runs, None when that is not known any more."""
    entry = view.get(keys.attempt(job_id, task, n))
    if entry is not None:
        attempt: Attempt = entry.noun
        return attempt.node
    progress = progress_of(view, job_id, task)
    ended = progress.last if progress is not None else ()
    return next((summary.node for summary in ended if summary.n == n), None)


def attempts_of(view: View, job_id: str, job: Job, after: int) -> Iterator[AttemptView]:
    """Yield the attempts of the tasks from index `after` on, as far as they are kept."""
    running: dict[int, list[tuple[int, Entry]]] = {}
    for key, entry in view.scan(keys.attempts_of(job_id)):
        _, task, n = keys.attempt_parts(key)
        running.setdefault(task, []).append((n, entry))
    for task, progress in _progresses(view, job_id, job, after):
        for summary in progress.last:
            yield _ended(task, summary)
        for n, entry in running.get(task, ()):
            yield _open(task, n, entry)


def find_job(view: View, job_id: str) -> Entry:
    """Return the entry of a job. Raises NotFound."""
    entry = view.get(keys.job(job_id)) if is_id(job_id) else None
    if entry is None:
        raise NotFound(f"no job {job_id!r}", remedy="`jobctl job list` shows what there is.")
    return entry


def artifacts_of(view: View, job_id: str) -> list[ArtifactView]:
    """Return the outputs of a job that became artifacts."""
    found = []
    for key, entry in view.scan(f"output/{job_id}/"):
        output: Output = entry.noun
        if output.digest is not None:
            found.append(
                ArtifactView(
                    name="output",
                    task=int(keys.last(key)),
                    size_bytes=output.size_bytes,
                    digest=output.digest,
                )
            )
    return found


def _progresses(view: View, job_id: str, job: Job, after: int) -> Iterator[tuple[int, Progress]]:
    if job.tasks == 1:
        yield 0, job
        return
    before = keys.task(job_id, after - 1) if after else ""
    for key, entry in view.scan(keys.tasks_of(job_id), before):
        task: Task = entry.noun
        yield int(keys.last(key)), task


def _fields(view: View, job_id: str, entry: Entry) -> dict[str, Any]:
    job: Job = entry.noun
    last = job.last[-1] if job.last else None
    ended = job.state in TERMINAL
    return {
        "id": job_id,
        "name": job.name,
        "type": job.type,
        "state": job.state,
        "reason": job.reason,
        "detail": job.detail,
        "priority": job.priority,
        "labels": job.labels,
        "tasks": job.tasks,
        "attempt": job.n,
        "submitted_at": stamp(job.submitted_ms),
        "since": stamp(job.since_ms),
        "started_at": stamp_or_none(job.started_ms),
        "finished_at": stamp(job.since_ms) if ended else None,
        "due_at": stamp_or_none(job.due_ms) if job.state == "scheduled" else None,
        "node": _node_of(view, job_id, job, last),
        "exit_code": last.exit_code if last is not None and ended else None,
        "signal": last.signal if last is not None and ended else None,
        "cancel_requested": job.cancel_ms > 0,
        "retry_of": job.retry_of,
        "cause": cause_view(job.cause),
        "run": job.run or None,
        "step": job.step or None,
        "revision": entry.revision,
    }


def cause_view(cause: Cause | None) -> CauseView | None:
    """Return how a cause looks outside."""
    if cause is None:
        return None
    return CauseView(kind=cause.kind, id=cause.id, depth=cause.depth)


def _node_of(view: View, job_id: str, job: Job, last: Summary | None) -> str | None:
    """The node of the attempt that runs, or of the last that did; a fan-out has many."""
    if job.tasks > 1:
        return None
    if job.state == "running":
        entry = view.get(keys.attempt(job_id, 0, job.n))
        if entry is not None:
            attempt: Attempt = entry.noun
            return attempt.node
    return last.node if last is not None else None


def _ended(task: int, summary: Summary) -> AttemptView:
    return AttemptView(
        task=task,
        attempt=summary.n,
        outcome=summary.outcome,
        reason=summary.reason,
        detail=summary.detail,
        node=summary.node,
        started_at=stamp(summary.started_ms),
        ended_at=stamp(summary.ended_ms),
        exit_code=summary.exit_code,
        signal=summary.signal,
        cpu_ms=summary.cpu_ms,
        max_rss_bytes=summary.max_rss_bytes,
        fence=None,
    )


def _open(task: int, n: int, entry: Entry) -> AttemptView:
    attempt: Attempt = entry.noun
    return AttemptView(
        task=task,
        attempt=n,
        outcome="running",
        reason="",
        detail="",
        node=attempt.node,
        started_at=stamp(attempt.started_ms),
        ended_at=None,
        exit_code=None,
        signal=None,
        cpu_ms=0,
        max_rss_bytes=0,
        fence=entry.revision,
    )


def normal_form(struct: msgspec.Struct) -> dict[str, Any]:
    """Return a noun as an object of the fields that were set; it is stored as an array."""
    shown = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        made = field.default_factory is not msgspec.NODEFAULT
        if value != (field.default_factory() if made else field.default):
            shown[field.name] = _plain(value)
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return normal_form(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
