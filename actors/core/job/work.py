"""What an attempt works for: a job without fan-out, or one task of a fan-out."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from actors import limits
from actors.core.job.spans import job_span
from actors.core.store.txn import Check, Op, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.job import Job, JobState, Task
from actors.model.spec import JobSpec

__all__ = ["ENDED", "Work", "brief", "event", "load", "load_job", "load_task", "put"]


# the word of the event of a terminal state
ENDED: Final[dict[JobState, str]] = {
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


class Work(NamedTuple):
    """The record that is decided on (`record`, at `key`), its job and the job's spec.

    `record` is a task of a fan-out, or the job itself: then `task_index` is 0.
    """

    job_id: str
    task_index: int
    key: str
    revision: int
    record: Job | Task
    job: Job
    job_revision: int
    spec: JobSpec

    @property
    def stopping(self) -> bool:
        """Whether nothing of it may start any more: a cancel, a timeout, or the set's stop."""
        return self.job.cancel_ms > 0 or self.job.stop

    def checks(self) -> tuple[Check, ...]:
        """at(job or task)."""
        return (at(self.key, self.revision),)

    def event(self, word: str, **data: object) -> EventDraft:
        """An event of this record: `jobd:job:*`, for a task `jobd:task:*` with its index."""
        if isinstance(self.record, Task):
            data = {"task": self.task_index, **data}
        noun = "task" if isinstance(self.record, Task) else "job"
        return event(noun, word, self.job_id, self.job, **data)

    def ended(self, record: Job | Task, **data: object) -> EventDraft:
        """The event of this record's end."""
        return self.event(ENDED[record.state], reason=record.reason, **data)


def load(view: View, job_id: str, index: int) -> Work | None:
    """Return what an attempt of (job, index) works for, None when it is not in the view."""
    work = load_job(view, job_id)
    if work is None or not work.spec.fanned_out:
        return work
    key = keys.task(job_id, index)
    task = view.get(key)
    if task is None:
        return None
    return work._replace(task_index=index, key=key, revision=task.revision, record=task.noun)


def load_job(view: View, job_id: str) -> Work | None:
    """Return the work that has the job itself as its record, also for a fan-out."""
    job, spec = view.get(keys.job(job_id)), view.get(keys.spec(job_id))
    if job is None or spec is None:
        return None
    r = job.revision
    return Work(job_id, 0, keys.job(job_id), r, job.noun, job.noun, r, spec.noun)


def load_task(view: View, key: str) -> Work | None:
    """Return the work of a `task/` key."""
    _, job_id, index = key.split("/")
    return load(view, job_id, int(index))


def brief(text: str) -> str:
    """What a record keeps of a text from outside: an end must never be refused for its size."""
    return text.encode(errors="replace")[: limits.DETAIL_BYTES].decode(errors="ignore")


def put(key: str, noun: object) -> Op:
    """The op that writes a noun."""
    return (key, encode(noun))


def event(noun: str, word: str, job_id: str, job: Job, **data: object) -> EventDraft:
    """An event of a job or task, about `job/<id>`, with what started it."""
    about: dict[str, object] = {"job": job_id, "name": job.name}
    if job.cause is not None:
        about["cause"] = msgspec.structs.asdict(job.cause)
    if job.run:
        about |= {"run": job.run, "step": job.step}
    return EventDraft(
        f"jobd:{noun}:{word}",
        keys.job(job_id),
        about | data,
        job_span(job_id, job.trace).traceparent,
    )
