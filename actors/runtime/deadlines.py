"""Deadlines of the asks under way: buckets of 50 ms, so that an answered ask costs nothing later.

A heap with a timer for each ask would keep answered ones until their deadline: at 100,000 asks a
second and 30 s that is three million of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

__all__ = ["BUCKET_MS", "Deadlines", "Expiring"]

BUCKET_MS: Final = 50  # an ask expires at most this much after its deadline


class Expiring(Protocol):
    """What waits for an answer; it leaves its bucket by itself when the answer comes."""

    bucket: dict[Any, None] | None


class Deadlines:
    """Who waits until when. `call_at(ms, function, number)` arms one timer for a whole bucket."""

    def __init__(
        self,
        call_at: Callable[[int, Callable[[int], None], int], object],
        expire: Callable[[Any], None],
    ) -> None:
        self._buckets: dict[int, dict[Any, None]] = {}
        self._call_at = call_at
        self._expire = expire

    def add(self, waiting: Expiring, deadline_ms: int) -> None:
        """Expire it at the end of the bucket that the deadline falls into."""
        number = deadline_ms // BUCKET_MS + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            self._call_at(number * BUCKET_MS, self._run, number)
        bucket[waiting] = None
        waiting.bucket = bucket

    def _run(self, number: int) -> None:
        for waiting in list(self._buckets.pop(number)):  # each leaves the bucket while it expires
            self._expire(waiting)
