"""Where the pinned actors of a node live. Actors tell addresses, never objects."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AGENT",
    "API",
    "AUDIT",
    "DETECTOR",
    "DIALLER",
    "DIRECTORY",
    "DISK_WATCH",
    "EVENT_BUS",
    "EXECUTION",
    "FORMATION",
    "HISTORY",
    "HOME",
    "HOOKS",
    "IMAGE",
    "INCOMING",
    "JOIN",
    "LOG",
    "PEER_DOOR",
    "REPLICA",
    "RUNS",
    "RUN_LOG",
    "SCHEDULER",
    "SCHEDULES",
    "SEAL_KEYS",
    "SNAPSHOTS",
    "SUPERVISOR",
    "TRIGGERS",
    "WAKEUPS",
    "pipeline_run",
    "slot",
    "task_set",
]

AGENT: Final = "/agent"
API: Final = "/api"
DETECTOR: Final = "/detector"
DIALLER: Final = "/dialler"
DIRECTORY: Final = "/directory"
DISK_WATCH: Final = "/disk_watch"
AUDIT: Final = "/audit"
EVENT_BUS: Final = "/events"
EXECUTION: Final = "/execution"
FORMATION: Final = "/formation"
HISTORY: Final = "/history"
HOME: Final = "/home"
HOOKS: Final = "/hooks"
IMAGE: Final = "/image"
INCOMING: Final = "/incoming"
JOIN: Final = "/join"
LOG: Final = "/log"
PEER_DOOR: Final = "/peer_door"
REPLICA: Final = "/replica"
RUN_LOG: Final = "/run_log"
RUNS: Final = "/runs"
SCHEDULER: Final = "/scheduler"
SCHEDULES: Final = "/schedules"
SEAL_KEYS: Final = "/seal_keys"
SNAPSHOTS: Final = "/snapshots"
SUPERVISOR: Final = "/supervisor"
TRIGGERS: Final = "/triggers"
WAKEUPS: Final = "/wakeups"


def pipeline_run(run_id: str) -> str:
    """The entity that advances one run of a pipeline."""
    return f"/run/{run_id}"


def slot(index: int) -> str:
    """The executor slot with this number."""
    return f"/slot/{index}"


def task_set(job_id: str) -> str:
    """The entity that advances one fanned-out job."""
    return f"/tasks/{job_id}"
