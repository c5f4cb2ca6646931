"""De-dup: a question that comes again is not asked again.

The sender numbers its questions 1, 2, ... in an incarnation and may repeat one whose answer got
lost. The receiver remembers the last DEDUP_IDS_PER_PEER numbers: one under way is ignored, one
that has been answered gets the same answer, one older than the window is refused, since nobody
knows any more whether it was done.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

from actors import limits

__all__ = ["DedupWindow"]

_NO_ANSWER_YET: Final = b""


class DedupWindow:
    """The questions of one incarnation of one peer."""

    def __init__(self, size: int = limits.DEDUP_IDS_PER_PEER) -> None:
        self._size = size
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._forgotten = 0  # the highest number that has left the window

    def admit(self, number: int) -> Literal["new", "under way", "expired"] | bytes:
        """Say what a number is; bytes are the answer that it was given."""
        answer = self._known.get(number)
        if answer is not None:
            return answer or "under way"
        if number <= self._forgotten:
            return "expired"
        self._known[number] = _NO_ANSWER_YET
        if len(self._known) > self._size:
            oldest, _answer = self._known.popitem(last=False)
            self._forgotten = max(self._forgotten, oldest)
        return "new"

    def answered(self, number: int, answer: bytes) -> None:
        """Keep the answer for repeats; the answer isn't empty."""
        assert answer, "an empty answer would look like none"
        if number in self._known:
            self._known[number] = answer
