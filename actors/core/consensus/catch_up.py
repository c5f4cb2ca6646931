"""How nodes that lag get the commands that others have executed, and when they need a snapshot.

Rules:
W1  What one replica has executed is a prefix of what all will: taking it over is always safe.
W2  A learner's question waits at a voter until there is an answer, so a learner is told at once
    and one question of it is under way.
W3  A voter asks only when it is stuck: it has executed nothing for a while though another has.
W4  Commands are kept until every member, and every learner heard of late, has them durably in its
    image; beyond the bound of Past the laggard takes a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.core.consensus.group import Behind
from actors.core.consensus.messages import Fetch, Fetched, Packet
from actors.core.consensus.past import Past

__all__ = ["CatchUp", "Place"]

_ANSWER_BYTES: Final = 1024 * 1024
_STUCK_MS: Final = 60
_ASK_AGAIN_MS: Final = 200
_LEARNER_ASKS_MS: Final = 1_000
_SNAPSHOT_AGAIN_MS: Final = 5_000
_FORGET_MS: Final = 60_000


class Place:
    """How far another node is, as it said last."""

    __slots__ = ("executed", "heard_ms", "imaged", "incarnation")

    def __init__(self) -> None:
        self.incarnation = 0
        self.executed = 0
        self.imaged = 0
        self.heard_ms = 0


class CatchUp:
    """The questions and answers of one node about executed commands, by node id."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self.places: dict[str, Place] = {}
        self._parked: dict[str, int] = {}  # node → the index that it waits for
        self._progress = (0, 0)  # (index, since when)
        self._asked: tuple[int, int, str] = (0, -_LEARNER_ASKS_MS, "")  # (index, when, whom)
        self._tries = 0
        self._behind_ms = -_SNAPSHOT_AGAIN_MS
        self.behind: Behind | None = None

    # -- what others say

    def heard(self, sender: str, packet: Packet, now_ms: int) -> bool:
        """Note how far a node is; False for a packet of an earlier incarnation."""
        place = self.places.get(sender)
        if place is None:
            place = self.places[sender] = Place()
        if packet.incarnation < place.incarnation:
            return False
        if packet.incarnation > place.incarnation:
            place.incarnation = packet.incarnation
            place.executed = place.imaged = 0
            self._parked.pop(sender, None)
        if packet.executed > place.executed:
            place.executed = packet.executed
        if packet.imaged > place.imaged:
            place.imaged = packet.imaged
        place.heard_ms = now_ms
        return True

    def executed(self, node: str) -> int:
        """Return how many commands a node has executed, as far as known."""
        place = self.places.get(node)
        return place.executed if place is not None else 0

    def ahead(self) -> list[str]:
        """Return who has executed more than this node."""
        return [n for n, place in self.places.items() if place.executed > self._past.index]

    def kept_from(self, members: Iterable[str], me: str, imaged: int, now_ms: int) -> int:
        """Return up to which index commands may go (W4)."""
        upto = imaged
        for node in members:
            if node != me:
                place = self.places.get(node)
                upto = min(upto, place.imaged if place is not None else 0)
        for node, place in self.places.items():
            if node not in members and now_ms - place.heard_ms < _FORGET_MS:
                upto = min(upto, place.imaged)
        return upto

    # -- answering

    def on_fetch(self, sender: str, message: Fetch) -> None:
        """Have a question wait for its answer (W2)."""
        self._parked[sender] = message.index

    def answers(self) -> list[tuple[str, Fetched]]:
        """Return what can be answered now."""
        past = self._past
        answers: list[tuple[str, Fetched]] = []
        if not self._parked:
            return answers
        for node, first in list(self._parked.items()):
            if first > past.index:
                continue
            del self._parked[node]
            commands: tuple[tuple[int, int, tuple[int, int, int], bytes], ...] = ()
            if first >= past.oldest:
                commands = tuple(past.since(first, _ANSWER_BYTES))
            answers.append((node, Fetched(first, commands, past.oldest)))
        return answers

    # -- asking

    def question(
        self, voters: list[str], now_ms: int, *, is_learner: bool
    ) -> tuple[str, Fetch] | None:
        """Return whom to ask for what, if it is time. `voters`: the others that seem alive."""
        index = self._past.index
        if self._progress[0] != index:
            self._progress = (index, now_ms)
            self._tries = 0
        ahead = [node for node in voters if self.executed(node) > index]
        if is_learner:
            return self._ask_as_learner(voters, now_ms)
        if not ahead or now_ms - self._progress[1] < _STUCK_MS:
            return None
        return self._ask(ahead, now_ms, _ASK_AGAIN_MS)

    def _ask_as_learner(self, voters: list[str], now_ms: int) -> tuple[str, Fetch] | None:
        """Have one question under way, at a voter that seems alive (W2)."""
        is_waiting = self._asked[2] in voters
        return self._ask(voters, now_ms, _LEARNER_ASKS_MS if is_waiting else _ASK_AGAIN_MS)

    def _ask(self, nodes: list[str], now_ms: int, pause_ms: int) -> tuple[str, Fetch] | None:
        wanted = self._past.index + 1
        if not nodes or (self._asked[0] == wanted and now_ms - self._asked[1] < pause_ms):
            return None
        node = nodes[self._tries % len(nodes)]
        self._tries += 1
        self._asked = (wanted, now_ms, node)
        return node, Fetch(wanted)

    def too_old(self, sender: str, message: Fetched, now_ms: int) -> None:
        """Take that a node no longer has the commands that are wanted: a snapshot is."""
        wanted = self._past.index + 1
        if message.first != wanted or message.oldest <= wanted:
            return
        if now_ms - self._behind_ms >= _SNAPSHOT_AGAIN_MS:
            self._behind_ms = now_ms
            self.behind = Behind(sender, self.executed(sender))

    def take_behind(self) -> Behind | None:
        """Return that a snapshot is needed, once."""
        behind, self.behind = self.behind, None
        return behind
