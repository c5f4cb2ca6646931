"""A node as another node knows it: a peer with several connections.

Both may dial, so there may be two connections with two lanes each, and while one takes the place of
another, more. Messages leave on the first of its main lanes, those with blobs on the first of its
bulk lanes; they are taken from any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from actors import limits
from actors.runtime.hello import Hello, agreed_version
from actors.runtime.letter import Letter
from actors.runtime.peer import Peer
from actors.runtime.wire import Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link

__all__ = ["NodePeer"]


class NodePeer(Peer):
    """Another node, for one incarnation of it.

    `is_guest`: it, or this node, belongs to no cluster yet. `is_host`: this node was the first
    to dial. `dropped`: tells that were given up because it took no more.
    """

    is_node: ClassVar[bool] = True

    def __init__(self, link: Link, hello: Hello, lane: Lane, *, guest: bool, host: bool) -> None:
        super().__init__(link, hello, lane=lane)
        self.version = agreed_version(hello)
        self.is_guest = guest
        self.is_host = host
        self.dropped = 0
        self._mains: list[Lane] = [lane]
        self._bulks: list[Lane] = []
        self._heard: dict[Lane, float] = {lane: self.heard_s}

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All of its lanes."""
        return tuple(self._heard)

    def hear(self, lane: Lane, now_s: float) -> None:
        """Note that something came on a lane."""
        self._heard[lane] = now_s

    def silences(self, now_s: float) -> Iterable[tuple[Lane, float]]:
        """Return for how many seconds each lane has been silent."""
        return [(lane, now_s - heard_s) for lane, heard_s in self._heard.items()]

    def add(self, lane: Lane, now_s: float, *, bulk: bool, first: bool) -> None:
        """Have another lane; the first one is what messages leave on from now on."""
        among = self._bulks if bulk else self._mains
        if lane not in among:
            among.insert(0 if first else len(among), lane)
        self._heard[lane] = now_s
        self._choose()

    def is_last_main(self, lane: Lane) -> bool:
        """Say whether a lane is the only main one."""
        return self._mains == [lane]

    def remove(self, lane: Lane) -> None:
        """Have a lane no more."""
        self._heard.pop(lane, None)
        for among in (self._mains, self._bulks):
            if lane in among:
                among.remove(lane)
        self._choose()

    def _choose(self) -> None:
        self.lane = self._mains[0] if self._mains else b""
        self.bulk = self._bulks[0] if self._bulks else None

    def carry(self, address: str, letter: Letter) -> None:
        """Send a letter. A tell that the node's connection has no room for is given up."""
        if letter.reply_to is None and self.link.wire_of(self.lane).is_congested(
            self.lane, limits.NODE_OUTBOX_BYTES
        ):
            self.dropped += 1
            return
        super().carry(address, letter)
