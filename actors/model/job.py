"""Job, task and attempt: the records of the store. `actors/core/job.py` says how they change."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from actors.model.cause import Cause

__all__ = [
    "OPEN",
    "TERMINAL",
    "Attempt",
    "Job",
    "JobState",
    "Outcome",
    "Output",
    "Permit",
    "Progress",
    "Summary",
    "Task",
]

JobState = Literal[
    "scheduled", "waiting", "pending", "running", "succeeded", "failed", "cancelled", "expired"
]
Outcome = Literal["succeeded", "failed", "lost", "superseded", "cancelled", "preempted"]

TERMINAL: Final = frozenset(("succeeded", "failed", "cancelled", "expired"))
OPEN: Final = frozenset(("scheduled", "waiting", "pending", "running"))


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What became of one attempt. Times are Unix milliseconds."""

    n: int
    outcome: Outcome
    reason: str
    node: str
    started_ms: int
    ended_ms: int
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    cpu_ms: int = 0
    max_rss_bytes: int = 0


class Progress(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a job without fan-out and a task have in common."""

    state: JobState
    since_ms: int  # when this state began
    n: int = 0  # number of the last attempt, never reused
    fails: int = 0
    requeues: int = 0
    due_ms: int = 0  # while scheduled: when it becomes pending
    eligible_ms: int = 0  # since when it waits for a slot (priority ages from here)
    reason: str = ""  # why it is where it is, one of the contract's words
    detail: str = ""  # the same for a person
    started_ms: int = 0  # the first attempt's start
    last: tuple[Summary, ...] = ()  # the last eight attempts


class Task(Progress, frozen=True, array_like=True, kw_only=True):
    """task/<job>/<index>."""


class Job(Progress, frozen=True, array_like=True, kw_only=True):
    """job/<id>."""

    name: str
    type: str
    submitted_ms: int
    cancel_ms: int = 0  # when a cancel was asked for; never unset
    stop: bool = False  # a fan-out whose min_success can't be reached any more
    tasks: int = 1
    priority: int = 50
    labels: dict[str, str] = {}
    retry_of: str | None = None
    principal: str = ""  # id of the token that submitted it
    body_hash: str = ""  # of the request, for idempotent replay
    cancel_reason: str = ""
    trace: str = ""  # the traceparent of the request that submitted it
    cause: Cause | None = None  # what started it; None: a request
    run: str = ""  # the run that it is a step of
    step: str = ""  # likewise: the step's name


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """attempt/<job>/<task>/<n>: written once; its revision is the fence."""

    node: str
    slot: int
    supervisor: str  # instance of the job supervisor that will hold it
    started_ms: int  # when it was claimed
    permits: tuple[str, ...] = ()


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """permit/<hash>/<i>: one unit of a concurrency key, held by an attempt."""

    key: str
    attempt: str


class Output(msgspec.Struct, frozen=True, array_like=True):
    """output/<job>/<task>: JSON bytes inline, or the digest of an artifact."""

    json: bytes | None
    size_bytes: int
    digest: str | None = None  # sha256 in hex
