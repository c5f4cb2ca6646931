"""Concurrency keys as permits: `permit/<hash of the key>/<i>`, i < max, one key of the store each.

Rules of this file:
P1  A claim takes one permit of each of its spec's keys under absent(permit), so that two claims
    never hold the same one and no more than `max` are held, in the whole cluster.
P2  Whatever deletes an attempt deletes its permits in the same transaction: none can leak (I-d).
P3  Nothing counts permits; what is held is what is in the view.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedList

from actors.core.view import View
from actors.model import keys
from actors.model.job import Job, Permit
from actors.model.spec import Concurrency, JobSpec

__all__ = ["Waiters", "first_full", "holders", "key_hash", "take"]


def key_hash(key: str) -> str:
    """Return the hash by which a concurrency key stands in the store: 128 bits in hex."""
    return hashlib.blake2b(key.encode(), digest_size=16, person=b"jobd-permit").hexdigest()


def take(view: View, spec: JobSpec) -> list[str] | Concurrency:
    """Return a free permit for each concurrency key, or the first of these that is full."""
    taken: list[str] = []
    for concurrency in spec.concurrency:
        free = _free(view, concurrency, taken)
        if free is None:
            return concurrency
        taken.append(free)
    return taken


def first_full(view: View, spec: JobSpec) -> Concurrency | None:
    """Return the spec's first concurrency key that has no free permit."""
    if not spec.concurrency:
        return None
    taken = take(view, spec)
    return taken if isinstance(taken, Concurrency) else None


def holders(view: View, concurrency: Concurrency) -> Iterator[Permit]:
    """Yield the permits of a key that are held, in their order."""
    for _, entry in view.scan(keys.permits_of(key_hash(concurrency.key))):
        yield entry.noun


def _free(view: View, concurrency: Concurrency, taken: list[str]) -> str | None:
    hashed = key_hash(concurrency.key)
    for i in range(concurrency.max):
        key = keys.permit(hashed, i)
        if key not in taken and view.get(key) is None:
            return key
    return None


class _Waiter(NamedTuple):
    priority: int  # negated: the highest first
    submitted_ms: int
    job_id: str


class Waiters:
    """The jobs that wait behind concurrency keys, in the order in which they are let through.

    An index that the home of a key keeps from the feed, so that a freed permit finds its next job
    without a walk over all; losing it costs a rescan, never a job.
    """

    def __init__(self) -> None:
        self._by_hash: dict[str, SortedList] = {}
        self._of_job: dict[str, tuple[_Waiter, frozenset[str]]] = {}

    def __len__(self) -> int:
        return len(self._of_job)

    def add(self, job_id: str, job: Job, spec: JobSpec) -> None:
        """Add a waiting job under each of its keys; a job that is there already is placed anew."""
        self.discard(job_id)
        waiter = _Waiter(-job.priority, job.submitted_ms, job_id)
        hashes = frozenset(key_hash(concurrency.key) for concurrency in spec.concurrency)
        self._of_job[job_id] = (waiter, hashes)
        for hashed in hashes:
            self._by_hash.setdefault(hashed, SortedList()).add(waiter)

    def discard(self, job_id: str) -> None:
        """Take a job out, if it is there."""
        found = self._of_job.pop(job_id, None)
        if found is None:
            return
        waiter, hashes = found
        for hashed in hashes:
            waiting = self._by_hash[hashed]
            waiting.remove(waiter)
            if not waiting:
                del self._by_hash[hashed]

    def first(self, hashed: str, count: int) -> list[str]:
        """Return the next jobs of a key, given by its hash, best first."""
        return [waiter.job_id for waiter in self._by_hash.get(hashed, ())[:count]]
