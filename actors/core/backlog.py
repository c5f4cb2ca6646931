"""The backlog of a scheduler: what waits for a slot, by what it asks for.

Rules of this file:
B1  Whether a node can start a job depends on the job's shape alone (`placement.shape`): one that
    does not fit answers for all of its shape, however many wait.
B2  Order is that of one pending queue over everything: a shape is only ever left out as a whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from actors.core.pending import Pending, PendingQueue, order_at
from actors.core.placement import Shape, shape_of
from actors.model.spec import JobSpec

__all__ = ["Backlog"]


class Backlog:
    """Pending entries in one queue for each shape of request.

    Time goes forwards only, as for a pending queue.
    """

    def __init__(self) -> None:
        self._queues: dict[Shape, tuple[JobSpec, PendingQueue]] = {}  # with a spec of that shape
        self._shapes: dict[tuple[str, int], Shape] = {}
        self._now_ms = 0

    def __len__(self) -> int:
        return len(self._shapes)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield (job id, task index) of every entry, in no order."""
        return iter(self._shapes)

    def add(self, entry: Pending, spec: JobSpec) -> None:
        """Add an entry; one of the same job and task is replaced."""
        self.discard(entry.job_id, entry.task_index)
        shape = shape_of(spec)
        if shape not in self._queues:
            self._queues[shape] = (spec, PendingQueue())
        self._queues[shape][1].add(entry)
        self._shapes[entry.job_id, entry.task_index] = shape

    def discard(self, job_id: str, task_index: int) -> None:
        """Take an entry out, if it is there."""
        shape = self._shapes.pop((job_id, task_index), None)
        if shape is not None:
            _, queue = self._queues[shape]
            queue.discard(job_id, task_index)
            if not len(queue):
                del self._queues[shape]

    def fitting(self, fits: Callable[[JobSpec], bool], now_ms: int) -> Iterator[Pending]:
        """Yield the entries whose shape fits, best first. The backlog must not change meanwhile."""
        now_ms = self._now_ms = max(self._now_ms, now_ms)
        queues = [queue.best_first(now_ms) for spec, queue in self._queues.values() if fits(spec)]
        if len(queues) == 1:
            return queues[0]
        return heapq.merge(*queues, key=lambda entry: order_at(entry, now_ms))

    def ahead_of(self, job_id: str, task_index: int, now_ms: int) -> int | None:
        """Return how many entries are better than this one, None when it is not here."""
        shape = self._shapes.get((job_id, task_index))
        if shape is None:
            return None
        now_ms = self._now_ms = max(self._now_ms, now_ms)
        entry = self._queues[shape][1].get(job_id, task_index)
        assert entry is not None, "what has a shape is in its queue"
        return sum(queue.better_than(entry, now_ms) for _, queue in self._queues.values())
