"""The pending queue: everything eligible, best first.

Effective priority is the job's priority plus the minutes that it waited, at most 100; equals go in
submit order. Minutes are counted as ticks of the wall minute, so that the order of two entries
below the cap never changes with time: both age alike. Only reaching the cap moves an entry, once,
from the aging order to the capped one, which is by submission alone. Adding, removing and finding
an entry's place are O(log n), and nothing is sorted anew as time goes by.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from sortedcontainers import SortedList

__all__ = ["Pending", "PendingQueue", "effective_priority", "order_at"]

_MINUTE_MS: Final = 60_000
_CAP: Final = 100


class Pending(NamedTuple):
    """A job without fan-out (index 0) or a task that waits for a slot. Times are Unix ms."""

    job_id: str
    task_index: int
    priority: int
    eligible_ms: int
    submitted_ms: int


class _Capped(NamedTuple):
    submitted_ms: int
    job_id: str
    task_index: int


class _Aging(NamedTuple):
    handicap: int  # minute of eligibility less priority: effective priority is minute - handicap
    capped: _Capped


def effective_priority(entry: Pending, now_ms: int) -> int:
    """Return priority plus minutes waited, at most 100."""
    return min(_CAP, now_ms // _MINUTE_MS - _place(entry).handicap)


def order_at(entry: Pending, now_ms: int) -> tuple[int, tuple[int, str, int]]:
    """Return what orders entries at a moment: the smaller, the better."""
    return -effective_priority(entry, now_ms), _place(entry).capped


class PendingQueue:
    """The pending set in order of effective priority, then submission.

    Time goes forwards only: an earlier `now_ms` than one seen before reads as that one.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], Pending] = {}
        self._aging: SortedList = SortedList()
        self._capped: SortedList = SortedList()
        self._minute = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Pending) -> None:
        """Add an entry; one of the same job and task is replaced."""
        self.discard(entry.job_id, entry.task_index)
        self._entries[entry.job_id, entry.task_index] = entry
        place = _place(entry)
        if self._is_capped(place):
            self._capped.add(place.capped)
        else:
            self._aging.add(place)

    def discard(self, job_id: str, task_index: int) -> None:
        """Take an entry out, if it is there."""
        entry = self._entries.pop((job_id, task_index), None)
        if entry is None:
            return
        place = _place(entry)
        if self._is_capped(place):
            self._capped.remove(place.capped)
        else:
            self._aging.remove(place)

    def best_first(self, now_ms: int) -> Iterator[Pending]:
        """Yield the entries, best first. The queue must not change while this is in use."""
        self._advance(now_ms)
        aged = (place.capped for place in self._aging)
        for capped in chain(self._capped, aged):
            yield self._entries[capped.job_id, capped.task_index]

    def get(self, job_id: str, task_index: int) -> Pending | None:
        """Return an entry, None when it is not here."""
        return self._entries.get((job_id, task_index))

    def better_than(self, entry: Pending, now_ms: int) -> int:
        """Return how many entries are better than one that may be in another queue."""
        self._advance(now_ms)
        place = _place(entry)
        if self._is_capped(place):
            return int(self._capped.bisect_left(place.capped))
        return len(self._capped) + int(self._aging.bisect_left(place))

    def _is_capped(self, place: _Aging) -> bool:
        return self._minute - place.handicap >= _CAP

    def _advance(self, now_ms: int) -> None:
        """Move what reached the cap by now; each entry is moved at most once."""
        self._minute = max(self._minute, now_ms // _MINUTE_MS)
        while self._aging and self._is_capped(self._aging[0]):
            self._capped.add(self._aging.pop(0).capped)


def _place(entry: Pending) -> _Aging:
    handicap = entry.eligible_ms // _MINUTE_MS - entry.priority
    return _Aging(handicap, _Capped(entry.submitted_ms, entry.job_id, entry.task_index))
