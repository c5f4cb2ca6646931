"""De-dup: a question that comes again is not asked again.

The sender numbers its questions 1, 2, ... in an incarnation and may repeat one whose answer got
lost. The receiver remembers the last DEDUP_IDS_PER_PEER numbers: one under way is ignored, one
that has been answered gets the same answer. One older than the window, or whose answer was too
large to keep (DEDUP_ANSWER_BYTES for all of a peer's), is refused as expired: nobody knows any
more what came of it, so its sender is told ActorUnavailable(maybe_executed=True).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, Literal

from actors import limits

__all__ = ["DedupWindow"]

_NO_ANSWER_YET: Final = b""
_NOT_KEPT: Final = b"-"  # no envelope is one byte long


class DedupWindow:
    """The questions of one incarnation of one peer."""

    def __init__(
        self,
        size: int = limits.DEDUP_IDS_PER_PEER,
        answer_bytes: int = limits.DEDUP_ANSWER_BYTES,
    ) -> None:
        self._size = size
        self._room = answer_bytes
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._kept: deque[int] = deque()  # whose answers take room, but for those forgotten
        self._forgotten = 0  # the highest number that has left the window

    def admit(self, number: int) -> Literal["new", "under way", "expired"] | bytes:
        """Say what a number is; bytes are the answer that it was given."""
        answer = self._known.get(number)
        if answer is not None:
            return "expired" if answer == _NOT_KEPT else answer or "under way"
        if number <= self._forgotten:
            return "expired"
        self._known[number] = _NO_ANSWER_YET
        if len(self._known) > self._size:
            oldest, left = self._known.popitem(last=False)
            self._forgotten = max(self._forgotten, oldest)
            self._room += len(left) if left != _NOT_KEPT else 0
        return "new"

    def answered(self, number: int, answer: bytes | None) -> None:
        """Keep the answer for repeats, or with None that there was one; the oldest go for it."""
        assert answer != b"", "an empty answer would look like none"
        if self._known.get(number) != _NO_ANSWER_YET:
            return
        self._known[number] = answer or _NOT_KEPT
        if answer:
            self._kept.append(number)
            self._room -= len(answer)
            while self._room < 0:
                oldest = self._kept.popleft()
                dropped = self._known.get(oldest, _NOT_KEPT)
                if dropped != _NOT_KEPT:
                    self._known[oldest] = _NOT_KEPT
                    self._room += len(dropped)
        if len(self._kept) > 2 * self._size:
            self._kept = deque(each for each in self._kept if each in self._known)
