"""The mailbox of a user's actor: calls go to its workers, everything else to the actor's turn.

Calls that wait are here and nowhere else, so the bound is exact, `inspect` sees them, a new
incarnation finds them, and the end of the actor refuses them. The loop's thread appends, workers
take from the left, also in threads of their own: both are atomic on a deque.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from pykka._envelope import Envelope

from actors.runtime.address import node_of
from actors.runtime.invoke import Invoke
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox

__all__ = ["CallBox", "is_call"]


def is_call(letter: Letter, call: int, sender: str | None) -> bool:
    """Say whether a letter is the call with a number; each process has numbers of its own."""
    number: int = letter.message.call
    return number == call and node_of(letter.sender or "") == node_of(sender or "")


class CallBox(Mailbox):
    """A mailbox with a queue of calls. `wake` is called after each that it takes in."""

    __slots__ = ("calls", "wake")

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        super().__init__(limit)
        self.calls: deque[Letter] = deque()
        self.wake = wake

    def __len__(self) -> int:
        return len(self.calls) + super().__len__()

    def offer(self, letter: Envelope[Any], bounded: bool = True) -> bool:
        """Take a letter in, or say False: the mailbox is full or closed."""
        if letter.message.__class__ is not Invoke:
            return super().offer(letter, bounded)
        if self.closed or (bounded and len(self.calls) >= self.limit):
            return False
        self.calls.append(cast(Letter, letter))
        self.wake()
        return True

    def drop(self, call: int, sender: str | None) -> Letter | None:
        """Take out a sender's waiting call with a number, None when there is none."""
        for letter in list(self.calls):
            if is_call(letter, call, sender):
                try:
                    self.calls.remove(letter)
                except ValueError:  # a worker took it in this moment
                    return None
                return letter
        return None

    def drain(self) -> list[Envelope[Any]]:
        """Close and return what was still waiting."""
        waiting: list[Envelope[Any]] = []
        while self.calls:
            waiting.append(self.calls.popleft())
        return waiting + super().drain()
