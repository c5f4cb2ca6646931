"""When something recurs, and what becomes of the times that can't be kept. Durations: ms."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Catchup", "Dst", "Overlap", "Recurrence"]

Overlap = Literal["skip", "queue_one", "queue_all", "cancel_previous", "allow"]


class Dst(msgspec.Struct, frozen=True, array_like=True):
    """What becomes of local times that don't exist, and of those that come twice."""

    gap: Literal["shift", "skip"] = "shift"
    overlap: Literal["first", "last", "both"] = "first"


class Catchup(msgspec.Struct, frozen=True, array_like=True):
    """Which of the fires that are overdue are made up for."""

    mode: Literal["none", "last", "all"] = "last"
    window_ms: int = 86_400_000  # older ones never are
    max_runs: int = 100  # the newest so many, of `all`


class Recurrence(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`cron` expressions, or `every` so many milliseconds from the anchor on."""

    cron: tuple[str, ...] = ()
    every_ms: int = 0
    anchor_ms: int = 0  # 0: the moment that the schedule was made
    timezone: str = "UTC"
    dst: Dst = Dst()
    overlap: Overlap = "skip"
    catchup: Catchup = Catchup()
    jitter_ms: int = 0
    starting_deadline_ms: int = 0  # 0: none
    not_before_ms: int = 0
    not_after_ms: int = 0  # 0: no end
    paused: bool | None = None  # None: as it is
    max_fires: int = 0  # 0: no limit
