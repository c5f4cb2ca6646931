"""Cancel a job: the decision of any node (R8).

A conflict means that the job moved on: read again, decide again, until the flag or the end is
there. A claim in flight needs no care: at(job) lets one of both win. `cancel_ms` is never unset.
"""

from __future__ import annotations

import msgspec

from actors.core.job.states import move
from actors.core.job.work import brief, event, put
from actors.core.store.txn import Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL, Job

__all__ = ["cancel", "flag"]


def cancel(view: View, job_id: str, reason: str, now_ms: int) -> Txn | None:
    """Return the transaction that cancels a job, None when there is nothing left to ask for.

    Not running: cancelled at once. Running, or with members: the flag; the slots end what runs.
    """
    key = keys.job(job_id)
    entry = view.get(key)
    if entry is None or entry.noun.state in TERMINAL or entry.noun.cancel_ms:
        return None
    job: Job = entry.noun
    reason = brief(reason)
    if job.state == "running":
        return flag(job_id, job, entry.revision, reason, now_ms)
    ended = move(
        job,
        "cancel",
        "cancelled",
        now_ms=now_ms,
        cancel_ms=now_ms,
        cancel_reason=reason,
        reason="cancelled",
        detail=reason,
    )
    return Txn(
        checks=(at(key, entry.revision),),
        ops=(put(key, ended),),
        events=(event("job", "cancelled", job_id, ended, reason="cancelled"),),
        now_ms=now_ms,
    )


def flag(job_id: str, job: Job, revision: int, reason: str, now_ms: int) -> Txn:
    """Return the transaction that asks a running job to end; who asks is told by its reason."""
    assert job.state == "running" and not job.cancel_ms, "a cancel is asked for once"
    key = keys.job(job_id)
    asked = msgspec.structs.replace(job, cancel_ms=now_ms, cancel_reason=reason)
    return Txn(checks=(at(key, revision),), ops=(put(key, asked),), now_ms=now_ms)
