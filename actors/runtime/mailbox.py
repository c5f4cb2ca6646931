"""A mailbox: what waits for one actor. Only the host's thread touches it.

Rules:
1. Letters come out in the order in which they went in, those of the system lane first.
2. The bound holds for what others send. Answers, timers and the system lane are outside of it:
   the actor has asked for them, so their number is its own doing.
3. Nothing enters a closed mailbox, so no ask can wait in a dead one (Pykka's trap 4).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from pykka._envelope import Envelope

__all__ = ["Mailbox", "in_system_lane"]

_SYSTEM_LANE: dict[type, bool] = {}


def in_system_lane(kind: type) -> bool:
    """Say whether messages of a type overtake the others: they have `system_lane = True`."""
    known = _SYSTEM_LANE.get(kind)
    if known is None:
        known = _SYSTEM_LANE[kind] = getattr(kind, "system_lane", False) is True
    return known


class Mailbox:
    """A bounded queue with a system lane; a Pykka inbox."""

    __slots__ = ("_system", "_user", "closed", "limit")

    def __init__(self, limit: int) -> None:
        self._user: deque[Envelope[Any]] = deque()
        self._system: deque[Envelope[Any]] | None = None  # made when needed: a deque is 600 bytes
        self.limit = limit
        self.closed = False

    def __len__(self) -> int:
        return len(self._user) + (len(self._system) if self._system is not None else 0)

    def offer(self, letter: Envelope[Any], bounded: bool = True) -> bool:
        """Take a letter in, or say False: the mailbox is full or closed."""
        if self.closed:
            return False
        if in_system_lane(letter.message.__class__):
            if self._system is None:
                self._system = deque()
            self._system.append(letter)
            return True
        if bounded and len(self._user) >= self.limit:
            return False
        self._user.append(letter)
        return True

    def put(self, letter: Envelope[Any], /) -> None:
        """Take a letter in regardless of the bound (Pykka's inbox protocol)."""
        self.offer(letter, bounded=False)

    def put_back(self, letter: Envelope[Any]) -> None:
        """Put a letter at the head again, for the next incarnation."""
        if in_system_lane(letter.message.__class__):
            assert self._system is not None, "it came out of the system lane"
            self._system.appendleft(letter)
        else:
            self._user.appendleft(letter)

    def get(self) -> Envelope[Any]:
        """Return the next letter. Raises IndexError when there is none."""
        if self._system:
            return self._system.popleft()
        return self._user.popleft()

    def empty(self) -> bool:
        """Say whether nothing waits."""
        return not self._user and not self._system

    def drain(self) -> list[Envelope[Any]]:
        """Close and return what was still waiting."""
        self.closed = True
        left = [*(self._system or ()), *self._user]
        self._user.clear()
        self._system = None
        return left
