"""Whose turn it is: what is due in the state, and when this node is to decide it.

Rules of this file:
T1  What is due is decided by its home at once, by the node of rank k when the feed has shown
    nothing of it k x RANK_MS later (H2), and by no node that does not keep the time or vote.
T2  A change of an entity's record begins the wait of the others anew; that it is merely looked at
    again does not, or a busy neighbourhood would put it off for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.core.due import DueIndex
from actors.core.homes import Homes
from actors.core.peers import Peers

__all__ = ["Turns"]

_BYSTANDER_MS: Final = 30_000  # a node that does not vote looks again whether it does


def _itself(key: str) -> str:
    return key


class Turns:
    """The due index of one node, and what it leaves to others for a while.

    `home_key(key)` is the key whose home decides for an entity.
    """

    def __init__(
        self, homes: Homes, peers: Peers, home_key: Callable[[str], str] = _itself
    ) -> None:
        self._homes = homes
        self._peers = peers
        self._home_key = home_key
        self._reckoned = (homes.up, peers.keeps_time)  # by what others' turns were reckoned
        self._due = DueIndex()
        self._left_to_others = DueIndex()  # due: when it is this node's turn, should nobody act

    def clear(self) -> None:
        """Forget all entities."""
        self._due, self._left_to_others = DueIndex(), DueIndex()

    def changed(self, key: str, due_ms: int | None) -> None:
        """Take when an entity is due whose record has changed, None: not at all."""
        self._left_to_others.set(key, None)
        self._due.set(key, due_ms)

    def look(self, key: str, due_ms: int | None) -> None:
        """Take when an entity is due that is looked at again (T2)."""
        self._due.set(key, due_ms)

    def is_due(self, key: str, now_ms: int) -> bool:
        """Say whether an entity waits to be decided, by this node or by others."""
        due_ms = self._due.get(key)
        return self._left_to_others.get(key) is not None or (
            due_ms is not None and due_ms <= now_ms
        )

    def __contains__(self, key: str) -> bool:
        return self._due.get(key) is not None or self._left_to_others.get(key) is not None

    def take(self, now_ms: int, limit: int) -> tuple[list[str], bool]:
        """Take out what this node is to decide now, and say whether more may be due."""
        due = self._due.pop(now_ms, limit)
        mine = []
        for key in due:
            wait_ms = self._wait_ms(key)
            if not wait_ms:
                mine.append(key)
            elif self._left_to_others.get(key) is None:
                self._left_to_others.set(key, now_ms + wait_ms)
        # The nodes before this one had their time, and the feed has not shown the decision.
        for key in self._left_to_others.pop(now_ms, limit):
            if self._homes.rank(self._home_key(key)) is None or not self._peers.keeps_time:
                self._left_to_others.set(key, now_ms + _BYSTANDER_MS)
            else:
                mine.append(key)
        return mine, len(due) == limit

    def have_moved(self, now_ms: int) -> bool:
        """Say whether homes have moved since this was last asked; turns are reckoned anew then."""
        reckoned = (self._homes.up, self._peers.keeps_time)
        if reckoned == self._reckoned:
            return False
        self._reckoned = reckoned
        for key in list(self._left_to_others):
            self._left_to_others.set(key, now_ms + self._wait_ms(key))
        return True

    def _wait_ms(self, key: str) -> int:
        wait_ms = self._homes.wait_ms(self._home_key(key))
        return wait_ms if wait_ms is not None and self._peers.keeps_time else _BYSTANDER_MS

    @property
    def next_ms(self) -> int | None:
        """When there is something to look at, None while there is nothing."""
        times = (self._due.next_ms, self._left_to_others.next_ms)
        return min((time for time in times if time is not None), default=None)
