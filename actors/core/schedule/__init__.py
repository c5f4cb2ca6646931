"""Schedules as pure decisions: when a recurrence fires, and what becomes of each nominal time."""

from actors.core.schedule.define import (
    Parts,
    backfill,
    define_schedule,
    delete_schedule,
    fire_now,
    pause,
    resume,
)
from actors.core.schedule.fire import due, due_at

__all__ = [
    "Parts",
    "backfill",
    "define_schedule",
    "delete_schedule",
    "due",
    "due_at",
    "fire_now",
    "pause",
    "resume",
]
