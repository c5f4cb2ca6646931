"""A job's spec in its normal form: durations in milliseconds, sizes in bytes, defaults filled in.

The spec is written once, with the job, and never changes. Fields are only ever appended: the
stored form is an array.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from actors.model.recurrence import Recurrence
from actors.model.trigger import EventSource, WebhookSource

__all__ = [
    "Backoff",
    "Concurrency",
    "JobSpec",
    "Limits",
    "NodeLost",
    "OnLimit",
    "Placement",
    "Resources",
    "Retry",
    "Trigger",
]

Backoff = Literal["constant", "linear", "exponential", "fibonacci"]
Jitter = Literal["none", "full", "equal", "decorrelated"]
OnLimit = Literal["queue", "cancel_running", "cancel_new", "fail"]
JobType = Literal["command", "container", "js"]


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """How failures are tried again; `max_attempts` counts the first one."""

    max_attempts: int = 1
    backoff: Backoff = "exponential"
    delay_ms: int = 5_000
    factor: float = 2.0
    max_delay_ms: int = 300_000
    jitter: Jitter = "full"
    retry_on: tuple[str, ...] = ("failed", "timeout", "node_lost", "oom")
    no_retry_exit: tuple[int, ...] = ()


class NodeLost(msgspec.Struct, frozen=True, array_like=True):
    """What becomes of an attempt whose node is lost: after `wait_ms`, requeue or fail."""

    wait_ms: int = 120_000
    then: Literal["requeue", "fail"] = "fail"


class Resources(msgspec.Struct, frozen=True, array_like=True):
    """What an attempt reserves; 0 is unset: one slot, nothing reserved."""

    cpu_milli: int = 0
    memory_bytes: int = 0


class Placement(msgspec.Struct, frozen=True, array_like=True):
    """Where an attempt may run."""

    labels: dict[str, str] = {}
    node: str | None = None
    spread: bool = False


class Concurrency(msgspec.Struct, frozen=True, array_like=True):
    """At most `max` attempts of a key (its templates filled in) at a time, in the whole cluster."""

    key: str
    max: int
    on_limit: OnLimit = "queue"


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """Resource limits of the process (setrlimit); None leaves the node's own."""

    nofile: int | None = None
    fsize_bytes: int | None = None
    nproc: int | None = None


class Trigger(msgspec.Struct, frozen=True, array_like=True):
    """When a job becomes due: at a moment or after a delay; neither means now.

    With a recurrence, events or a webhook the spec is no job, but what a schedule's or a trigger's
    jobs are made of.
    """

    at_ms: int | None = None
    delay_ms: int | None = None
    recurrence: Recurrence | None = None
    events: EventSource | None = None
    webhook: WebhookSource | None = None

    @property
    def defines(self) -> bool:
        """Whether a spec with this trigger defines something that starts jobs."""
        return self.recurrence is not None or self.is_given_input

    @property
    def is_given_input(self) -> bool:
        """Whether what starts its jobs gives each of them an input of its own."""
        return self.events is not None or self.webhook is not None


class JobSpec(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a job is and how it is to be run."""

    name: str
    type: JobType
    # command
    argv: tuple[str, ...] = ()
    cwd: str | None = None
    user: str | None = None
    umask: int = 0o077
    kill_signal: str = "TERM"
    kill_grace_ms: int = 10_000
    stdin: Literal["null", "input"] = "null"
    environment: dict[str, str] = {}
    limits: Limits = Limits()
    # container and js: kept as given, for executors to come
    backend: dict[str, Any] = {}
    # what goes in and out
    input: Any = None
    has_input: bool = False
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    labels: dict[str, str] = {}
    # when and where
    trigger: Trigger = Trigger()
    resources: Resources = Resources()
    placement: Placement = Placement()
    priority: int = 50
    concurrency: tuple[Concurrency, ...] = ()
    # 0: none
    timeout_ms: int = 0
    total_timeout_ms: int = 0
    schedule_timeout_ms: int = 0
    idle_timeout_ms: int = 0
    expires_ms: int = 0
    # failures
    retry: Retry = Retry()
    idempotent: bool = False
    node_lost: NodeLost = NodeLost()
    on_isolation: Literal["continue", "stop"] = "continue"
    # fan-out
    tasks: int = 1
    parallelism: int = 0  # 0: all at once
    min_success: int = 0  # a count, resolved from `80%`; 0: all
    fail_fast: bool = False
    # the spec's own idempotency key, resolved
    idempotency_key: str | None = None
    idempotency_ttl_ms: int = 86_400_000
    # environment, from secrets: variable -> the secret's name
    secrets: dict[str, str] = {}

    @property
    def fanned_out(self) -> bool:
        """Whether the job has members of its own (`tasks` above one)."""
        return self.tasks > 1

    @property
    def needed(self) -> int:
        """How many tasks must succeed."""
        return self.min_success or self.tasks
