"""Whose turn it is to evict: the home of a bucket's, then the others' while nothing of it goes.

An eviction closes a bucket and deletes its jobs, so one node does both for all jobs of a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.core.buckets import buckets_of

__all__ = ["EvictionTurns"]


class EvictionTurns:
    """Since when the jobs of other nodes' buckets could have gone. Losing it costs a delay."""

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}  # by bucket

    def mine(
        self, job_ids: Iterable[str], now_ms: int, wait_ms: Callable[[str], int | None]
    ) -> list[str]:
        """Return which of these jobs, all ready to go, this node evicts now.

        `wait_ms` says how long a bucket's eviction is left to the nodes before this one, None for
        ever.
        """
        going, since_ms = [], {}
        for job_id in job_ids:
            bucket = buckets_of(job_id)[0]
            wait = wait_ms(bucket)
            if wait is None:
                continue
            if wait:
                since_ms[bucket] = self._since_ms.get(bucket, now_ms)
            if not wait or now_ms - since_ms[bucket] >= wait:
                going.append(job_id)
        self._since_ms = since_ms
        return going

    def progress(self, job_id: str) -> None:
        """A job has gone: who evicts its bucket is at work."""
        self._since_ms.pop(buckets_of(job_id)[0], None)

    def clear(self) -> None:
        """Homes have moved."""
        self._since_ms.clear()
