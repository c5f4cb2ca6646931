"""A run of a pipeline and its steps: the records of the store. `actors/core/dag` changes them."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from actors.model.cause import Cause

__all__ = ["RUN_TERMINAL", "STEP_TERMINAL", "Run", "RunSlot", "RunState", "Step", "StepState"]

RunState = Literal[
    "pending", "running", "succeeded", "succeeded_with_warnings", "failed", "cancelled"
]
StepState = Literal["running", "waiting", "succeeded", "failed", "cancelled", "skipped", "omitted"]

RUN_TERMINAL: Final = frozenset(("succeeded", "succeeded_with_warnings", "failed", "cancelled"))
STEP_TERMINAL: Final = frozenset(("succeeded", "failed", "cancelled", "skipped", "omitted"))


class Run(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """run/<id>. Times are Unix milliseconds."""

    state: RunState
    since_ms: int
    pipeline: str
    definition: str  # the digest of what it runs, whatever becomes of the pipeline
    pipeline_revision: int
    created_ms: int
    started_ms: int = 0
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] | None = None
    reason: str = ""
    detail: str = ""
    stop_ms: int = 0  # when its end was asked for; never unset
    stop_reason: str = ""  # `timeout`, else a cancel's reason
    stop_finally: bool = False  # asked for again: the steps of `finally` end too
    slot: str = ""  # the key of its place under the pipeline's concurrency limit
    parent_run: str = ""  # what it runs again
    rerun_from: str = ""  # failed, start or a step
    reuses: tuple[str, ...] = ()  # runs whose steps it may refer to
    of_run: str = ""  # a sub-pipeline's: the run and the step that began it
    of_step: str = ""
    cause: Cause | None = None
    principal: str = ""
    trace: str = ""
    body_hash: str = ""
    labels: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """step/<run>/<name>, and step/<run>/<name>/<i> for the i-th item of a map.

    There is none while the step waits for others.
    """

    state: StepState
    since_ms: int
    started_ms: int = 0
    job: str = ""  # the id of the job that does it
    run: str = ""  # the run of a sub-pipeline that does it
    reason: str = ""
    detail: str = ""
    due_ms: int = 0  # a gate's timeout
    members: int = -1  # of a map: how many items its list has
    warned: bool = False  # it succeeded, but something in it failed and was passed over
    reused: str = ""  # the run that did it; its members are there
    by: str = ""  # whose token approved or rejected it


class RunSlot(msgspec.Struct, frozen=True, array_like=True):
    """runslot/<hash>/<i>: one of the runs that a concurrency limit lets go."""

    key: str
    run: str
