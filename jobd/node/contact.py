"""Whether this node is in contact with a majority of the voters, for those who wait for one.

Rules of this file:
1. A node that is the only voter is always in contact, and waits as it always did.
2. Who waits for a majority is told within LOOK_S of when this node is cut off, and not held for the
   whole deadline of an ask: what was submitted by then is unknown, what comes later is refused.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from actors.core.peers import Peers
from actors.errors import AskTimeout, NoQuorum
from actors.runtime import Clock, LoopFuture

__all__ = ["LOOK_S", "Contact"]

LOOK_S: Final = 0.5

T = TypeVar("T")


class Contact:
    """A node counts as cut off once it has heard no majority for `failure_timeout_ms`."""

    def __init__(self, peers: Peers, clock: Clock, failure_timeout_ms: int) -> None:
        self._peers = peers
        self._clock = clock
        self._failure_timeout_ms = failure_timeout_ms
        self._waiting: set[LoopFuture[Any]] = set()
        self._look: asyncio.TimerHandle | None = None

    def heard_ms(self, node: str) -> int | None:
        """How long ago a node was heard, None when it was not."""
        return self._peers.heard_ms(node, self._now_ms())

    @property
    def isolated_ms(self) -> int:
        """For how long this node has heard no majority, 0 while it does."""
        return self._peers.isolated_ms(self._now_ms())

    @property
    def is_cut_off(self) -> bool:
        """Whether it has been so for the failure timeout."""
        return self.isolated_ms >= self._failure_timeout_ms

    def _now_ms(self) -> int:
        return int(self._clock.monotonic_s() * 1000)

    @property
    def stale_ms(self) -> int:
        """The same once it is cut off; else 0."""
        isolated_ms = self.isolated_ms
        return isolated_ms if isolated_ms >= self._failure_timeout_ms else 0

    def check(self, what: str) -> None:
        """Refuse what a majority is needed for. Raises NoQuorum while the node is cut off."""
        if self.is_cut_off:
            raise NoQuorum(
                f"this node has heard no majority of the voters for {self.isolated_ms // 1000} s: "
                f"{what}",
                remedy="ask another node, or this one once the others are back",
            )

    async def answer(self, future: LoopFuture[T]) -> T:
        """Wait for an answer. Raises AskTimeout as soon as the node is cut off."""
        if future.done or self._peers.voters() == (self._peers.node,):
            return await future
        self._waiting.add(future)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)
        try:
            return await future
        finally:
            self._waiting.discard(future)

    def _look_again(self) -> None:
        self._look = None
        if self.is_cut_off:
            for future in list(self._waiting):
                future.fail(AskTimeout("no majority of the voters answers"))
        elif self._waiting:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)
