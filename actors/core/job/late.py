"""A late result: an attempt ended by itself after its fence was gone, its node given up (R5, R7).

It changes nothing of what became of its job: another attempt may have done the work, or the job
has ended. It is told by an event, and while the record is open its summary says `superseded` in
place of `lost`. Of a record that has ended the event is all, since terminal records never change:
a node that dies between that event and the job supervisor's acknowledgement tells it again.
"""

from __future__ import annotations

import msgspec

from actors.core.job.finish import Ending
from actors.core.job.work import brief, load, put
from actors.core.store.txn import Op, Txn
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL, Summary

__all__ = ["superseded"]


def superseded(
    view: View, attempt_key: str, ending: Ending, *, node: str, now_ms: int
) -> Txn | None:
    """Return the transaction that records a late result of this node, None if it is none.

    It is one when the record says that the attempt was lost with this node. `ending` is what
    really became of it.
    """
    job_id, index, n = keys.attempt_parts(attempt_key)
    work = load(view, job_id, index)
    if work is None or view.get(attempt_key) is not None:
        return None
    given_up = next((each for each in work.record.last if each.n == n), None)
    if given_up is None or given_up.outcome != "lost" or given_up.node != node:
        return None
    told = {"attempt": n, "node": node, "reason": ending.reason, "exit_code": ending.exit_code}
    ops: tuple[Op, ...] = ()
    if work.record.state not in TERMINAL:
        last = tuple(_late(each, ending) if each is given_up else each for each in work.record.last)
        ops = (put(work.key, msgspec.structs.replace(work.record, last=last)),)
    return Txn(work.checks(), ops, (work.event("superseded", **told),), now_ms)


def _late(summary: Summary, ending: Ending) -> Summary:
    return msgspec.structs.replace(
        summary,
        outcome="superseded",
        reason=ending.reason,
        exit_code=ending.exit_code,
        signal=ending.signal,
        detail=brief(ending.detail),
        cpu_ms=ending.cpu_ms,
        max_rss_bytes=ending.max_rss_bytes,
    )
