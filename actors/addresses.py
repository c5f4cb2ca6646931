"""Where the pinned actors of a node live. Actors tell addresses, never objects."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AGENT",
    "EVENT_BUS",
    "HOME",
    "IMAGE",
    "JOB_WATCH",
    "LOG",
    "REPLICA",
    "RUN_LOG",
    "SCHEDULER",
    "SUPERVISOR",
    "slot",
    "task_set",
]

AGENT: Final = "/agent"
EVENT_BUS: Final = "/events"
HOME: Final = "/home"
IMAGE: Final = "/image"
JOB_WATCH: Final = "/watch"
LOG: Final = "/log"
REPLICA: Final = "/replica"
RUN_LOG: Final = "/run_log"
SCHEDULER: Final = "/scheduler"
SUPERVISOR: Final = "/supervisor"


def slot(index: int) -> str:
    """The executor slot with this number."""
    return f"/slot/{index}"


def task_set(job_id: str) -> str:
    """The entity that advances one fanned-out job."""
    return f"/tasks/{job_id}"
