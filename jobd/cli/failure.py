"""How a command ends: exit codes, and the one error that commands raise.

0      done
own    the job's own code under `run`, `wait`, `--wait` and `--follow`
       (124 out of time, 128+n signal, 70 lost, 130 cancelled)
64     usage            66     not found          69     no node reachable
70     server error     75     timed out waiting  76     conflict
77     credential       78     invalid spec       130    interrupted
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "CANCELLED",
    "CONFLICT",
    "CREDENTIAL",
    "INVALID_SPEC",
    "NOT_FOUND",
    "SERVER_ERROR",
    "UNREACHABLE",
    "USAGE",
    "WAITED_OUT",
    "Failure",
    "of_job",
    "of_problem",
]

USAGE: Final = 64
NOT_FOUND: Final = 66
UNREACHABLE: Final = 69
SERVER_ERROR: Final = 70
WAITED_OUT: Final = 75
CONFLICT: Final = 76
CREDENTIAL: Final = 77
INVALID_SPEC: Final = 78
CANCELLED: Final = 130

OUT_OF_TIME: Final = 124
_LOST: Final = 70
_SIGNALLED: Final = 128
_KILLED: Final = 137
_FAILED: Final = 1  # a failed job whose process had no failing code of its own

_BY_STATUS: Final = {400: USAGE, 401: CREDENTIAL, 403: CREDENTIAL, 404: NOT_FOUND, 409: CONFLICT}
_BY_CODE: Final = {
    "idempotency_mismatch": CONFLICT,
    "invalid_spec": INVALID_SPEC,
    "precondition_failed": CONFLICT,
    "too_large": INVALID_SPEC,
}
_BY_REASON: Final = {
    "gpu_lost": _LOST,
    "idle_timeout": OUT_OF_TIME,
    "lost": _LOST,
    "node_lost": _LOST,
    "oom": _KILLED,
    "timeout": OUT_OF_TIME,
}


class Failure(Exception):
    """Ends the command: one line of cause, one of remedy, an exit code."""

    def __init__(self, cause: str, *, remedy: str = "", exit_code: int = SERVER_ERROR) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.exit_code = exit_code


def of_problem(status: int, code: str) -> int:
    """Return the exit code of an answer: a problem's code first, then its status."""
    return _BY_CODE.get(code, _BY_STATUS.get(status, SERVER_ERROR))


def of_job(job: Mapping[str, Any]) -> int:
    """Return the exit code that stands for an ended job, as the API shows it."""
    state = job["state"]
    if state == "succeeded":
        return 0
    if state == "cancelled":
        return CANCELLED
    if state == "expired":
        return OUT_OF_TIME
    if state == "deleted":
        return NOT_FOUND
    by_reason = _BY_REASON.get(job["reason"])
    if by_reason is not None:
        return by_reason
    if job["signal"]:
        return _SIGNALLED + int(job["signal"])
    return int(job["exit_code"] or _FAILED)
