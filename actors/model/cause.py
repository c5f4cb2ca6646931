"""Why a job or a run exists: what started it, and how long the chain behind it is."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Cause", "CauseKind"]

CauseKind = Literal[
    "request", "schedule", "backfill", "event", "webhook", "run", "retry", "hook", "job"
]


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """What started something.

    `id`: of a schedule or backfill `<schedule>@<nominal time, RFC 3339>`, of an event
    `<revision>-<k>`, of a webhook `<path>/<delivery id>`, of a run, a retried job, or a job that
    has emitted an event, its id.
    `depth` is that of the cause of the cause, plus one: what begins a chain has 0.
    """

    kind: CauseKind
    id: str
    depth: int = 0
    via: tuple[str, ...] = ()  # keys of the triggers and hooks that the chain went through
