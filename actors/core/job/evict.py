"""Evict terminal records: by age, and the oldest first when there are too many (R10, R11).

Rules of this file:
E1  A bucket of ids is closed before the first of its jobs is deleted; never the running one (B3).
E2  at(job) for every job that loses a record. A fan-out that is larger than a transaction loses its
    tasks first; its job goes last, so that what is left is always found.
E3  The job of a step stays as long as the record of its run, which refers to it; whoever lets an
    open run refer to an ended one puts that one again (R10). Beside that nothing refers to a job by
    its key: `retry_of` is a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

from actors import limits
from actors.core import buckets
from actors.core.store.txn import Check, Op, Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.job import TERMINAL, Job

__all__ = ["Retention", "evict", "held_by"]


def evict(view: View, job_ids: Iterable[str], *, now_ms: int) -> Txn | None:
    """Return the next transaction that evicts these jobs, None when none of them can go.

    First one that closes their buckets, then one that deletes as many as fit. Jobs that are not
    terminal, not in the view, or of a running bucket are passed over.
    """
    going = [
        (job_id, entry.revision)
        for job_id in job_ids
        for entry in [view.get(keys.job(job_id))]
        if entry is not None
        and entry.noun.state in TERMINAL
        and not held_by(view, entry.noun)
        and buckets.is_over(job_id, now_ms)
    ]
    unclosed = [job_id for job_id, _ in going if not buckets.is_closed(view, job_id)]
    if unclosed:
        return buckets.close(unclosed[: limits.TXN_OPS], now_ms)
    checks: list[Check] = []
    ops: list[Op] = []
    for job_id, revision in going:
        room = limits.TXN_OPS - len(ops)
        gone = list(_keys_of(view, job_id, room + 1))
        if len(gone) > room and ops:
            break
        checks.append(at(keys.job(job_id), revision))
        ops.extend((key, None) for key in gone[:room])
        if len(gone) > room:
            break
    return Txn(tuple(checks), tuple(ops), now_ms=now_ms) if ops else None


def held_by(view: View, job: Job) -> str:
    """Return the run whose record keeps a job, "" for none (E3)."""
    return job.run if job.run and view.get(keys.run(job.run)) is not None else ""


def _keys_of(view: View, job_id: str, limit: int) -> Iterator[str]:
    """Yield at most `limit` keys of a job, its own last."""
    for prefix in (keys.tasks_of(job_id), keys.outputs_of(job_id)):
        for key, _ in view.scan(prefix):
            if limit == 0:
                return
            limit -= 1
            yield key
    yield from (keys.spec(job_id), keys.job(job_id))[:limit]


class Retention:
    """The terminal jobs in the order of their ends: which are too old or too many.

    An index kept from the feed; losing it costs a rescan.
    """

    def __init__(
        self,
        keep_s: int = limits.TERMINAL_KEEP_S,
        keep_jobs: int = limits.TERMINAL_KEEP_JOBS,
    ) -> None:
        self._keep_ms = keep_s * 1000
        self._keep_jobs = keep_jobs
        self._ended_ms: dict[str, int] = {}
        self._order: SortedList = SortedList()
        self._held: dict[str, dict[str, int]] = {}  # run → its ended jobs, by their ends

    def __len__(self) -> int:
        return len(self._order)

    def add(self, job_id: str, ended_ms: int, run_id: str = "") -> None:
        """Add a job that became terminal; again is the same. It waits while a run holds it."""
        if run_id:
            self._held.setdefault(run_id, {})[job_id] = ended_ms
        elif job_id not in self._ended_ms:
            self._ended_ms[job_id] = ended_ms
            self._order.add((ended_ms, job_id))

    def discard(self, job_id: str) -> None:
        """Take an evicted job out, if it is there."""
        ended_ms = self._ended_ms.pop(job_id, None)
        if ended_ms is not None:
            self._order.remove((ended_ms, job_id))

    def release(self, run_id: str) -> None:
        """A run has gone: its jobs may go from now on."""
        for job_id, ended_ms in self._held.pop(run_id, {}).items():
            self.add(job_id, ended_ms)

    def next_ms(self) -> int | None:
        """When the oldest is too old, None when there is none."""
        return self._order[0][0] + self._keep_ms if self._order else None

    def excess(self, now_ms: int, limit: int) -> list[str]:
        """Return the jobs to evict, oldest first, at most `limit`."""
        old = self._order.bisect_left((now_ms - self._keep_ms + 1,))
        count = max(old, len(self._order) - self._keep_jobs)
        return [job_id for _, job_id in self._order[: min(count, limit)]]
