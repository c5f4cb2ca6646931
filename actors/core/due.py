"""The due index: which entity is due when, as a heap with lazy deletion."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

__all__ = ["DueIndex"]


class DueIndex:
    """Map of entity to its next due time, in milliseconds, popped in time order.

    A changed time leaves its old heap entry behind; `pop` skips it. When more than half of the heap
    is such remains it is built anew, so memory stays within twice the entities.
    """

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[str]:
        """Yield the entities, in no order."""
        return iter(self._due)

    def get(self, key: str) -> int | None:
        """Return when an entity is due, None when it is not in the index."""
        return self._due.get(key)

    @property
    def next_ms(self) -> int | None:
        """When the next entity is due, None when there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def set(self, key: str, due_ms: int | None) -> None:
        """Set when an entity is due; None takes it out."""
        if self._due.get(key) == due_ms:
            return
        if due_ms is None:
            del self._due[key]
        else:
            self._due[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(due, k) for k, due in self._due.items()]
            heapq.heapify(self._heap)

    def pop(self, now_ms: int, limit: int | None = None) -> list[str]:
        """Take out and return the entities that are due, earliest first, at most `limit`."""
        popped: list[str] = []
        while limit is None or len(popped) < limit:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now_ms:
                break
            _, key = heapq.heappop(self._heap)
            del self._due[key]
            popped.append(key)
        return popped

    def _drop_stale(self) -> None:
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
