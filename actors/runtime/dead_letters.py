"""Dead letters: what could not be delivered or handled, in a bounded ring, and how many in all."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from actors import limits

__all__ = ["DeadLetterRow", "DeadLetters"]


class DeadLetterRow(NamedTuple):
    """One message that nobody handled; `detail` is the traceback when it crashed its actor."""

    time_ms: int
    to: str
    sender: str | None
    message: str  # its type: contents may be secret
    reason: str
    detail: str


class DeadLetters:
    """The last of them, oldest first; `count` is of all, `by_reason` of each reason."""

    def __init__(self) -> None:
        self._ring: deque[DeadLetterRow] = deque(maxlen=limits.DEAD_LETTERS_KEPT)
        self.by_reason: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many there have been."""
        return sum(self.by_reason.values())

    def add(self, row: DeadLetterRow) -> None:
        """Keep a row; the oldest goes when the ring is full."""
        self._ring.append(row)
        self.by_reason[row.reason] = self.by_reason.get(row.reason, 0) + 1

    def rows(self) -> list[DeadLetterRow]:
        """Return the ring."""
        return list(self._ring)
