"""A schedule: when it fires, what became of its fires, and how far it is. Times: Unix ms."""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.model.recurrence import Recurrence
from actors.model.target import Target

__all__ = ["Backfill", "Fire", "FireOutcome", "Schedule"]

FireOutcome = Literal["fired", "missed", "skipped_overlap"]


class Fire(msgspec.Struct, frozen=True, array_like=True):
    """What became of a nominal time, or of `count` of them in a row that met the same.

    `count` 0: more than were counted. `started` is the job or run of a fire.
    """

    nominal_ms: int
    at_ms: int
    outcome: FireOutcome
    reason: str
    count: int = 1
    until_ms: int = 0  # the last of several nominal times
    started: str = ""
    detail: str = ""


class Backfill(msgspec.Struct, frozen=True, array_like=True):
    """Fires of the past that were asked for: what is above the cursor is still to come."""

    id: str
    from_ms: int
    to_ms: int
    cursor_ms: int
    at_once: bool = False  # all at once; else one after another
    fires: int = 0
    running: str = ""  # the job or run that the next one waits for


class Schedule(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """schedule/<name>: everything up to the cursor has been decided, each nominal time once."""

    recurrence: Recurrence
    target: Target
    created_ms: int
    principal: str  # id of the token that answers for what it starts
    cursor_ms: int
    next_ms: int = 0  # the first nominal time above the cursor; 0: none, it never fires again
    paused: bool = False
    fires: int = 0  # of its own; backfills and fires by hand don't count
    missed: int = 0
    skipped: int = 0
    running: tuple[str, ...] = ()  # jobs or runs that it started and not yet found ended
    queued: tuple[int, ...] = ()  # nominal times that wait for those to end
    recent: tuple[Fire, ...] = ()  # the last ones, oldest first
    backfills: tuple[Backfill, ...] = ()
