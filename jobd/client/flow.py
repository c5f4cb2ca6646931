"""Calls made of several operations, written once for the blocking and the asyncio client.

A flow yields operations and is sent what each answers; what it returns is the call's value.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from typing import Any, Final, TypeAlias, TypeVar

from actors.errors import AskTimeout, NotFound, PreconditionFailed
from actors.model.ids import make_id
from jobd.api.gateway import Until
from jobd.api.job_views import JobDetail
from jobd.client.job_operations import JobLike, Spec, get_job, id_of, submit_job
from jobd.client.node_operations import Stored, get_value, put_value
from jobd.client.operation import Operation

__all__ = ["Flow", "cas_flow", "get_flow", "mint_key", "submit_and_wait", "wait_flow"]

T = TypeVar("T")
Flow: TypeAlias = Generator[Operation[Any], Any, T]

_WAIT_S: Final = 30.0  # of one long poll; the node's own bound is above
_ENDED: Final = frozenset(("succeeded", "failed", "cancelled", "expired"))


def mint_key() -> str:
    """Return an idempotency key; in the form of an id, it becomes the job's id."""
    return make_id(time.time_ns() // 1_000_000, secrets.randbits(80))


def wait_flow(job: JobLike, until: Until, timeout_s: float | None) -> Flow[JobDetail]:
    """Wait until a job has ended, or runs. Raises AskTimeout when the time is over."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    reached = _ENDED if until == "terminal" else _ENDED | {"running"}
    while True:
        left_s = _WAIT_S if deadline is None else max(0.0, deadline - time.monotonic())
        detail: JobDetail = yield get_job(job, min(_WAIT_S, left_s), until)
        if detail.state in reached:
            return detail
        if deadline is not None and time.monotonic() >= deadline:
            raise AskTimeout(
                f"job {id_of(job)} is still {detail.state} after {timeout_s:g} s",
                remedy="explain() says what it waits for.",
            )


def submit_and_wait(spec: Spec, key: str, timeout_s: float | None) -> Flow[JobDetail]:
    """Submit a job and wait for its end."""
    accepted = yield submit_job(spec, key)
    return (yield from wait_flow(accepted, "terminal", timeout_s))


def get_flow(namespace: str, key: str) -> Flow[Stored | None]:
    """Return a value, None when there is none."""
    try:
        stored: Stored = yield get_value(namespace, key)
    except NotFound:
        return None
    return stored


def cas_flow(namespace: str, key: str, old: bytes | None, new: bytes) -> Flow[bool]:
    """Put a value if the present one is `old` (None: if there is none)."""
    stored = yield from get_flow(namespace, key)
    if (None if stored is None else stored.value) != old:
        return False
    revision = None if stored is None else stored.revision
    try:
        yield put_value(namespace, key, new, revision, absent=stored is None)
    except PreconditionFailed:
        return False
    return True
