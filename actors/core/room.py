"""What the other nodes have free, and whose turn it is to claim.

Rules of this file:
M1  A heartbeat says what a node has in all; what is taken of it is told by the attempts in the
    view. So all nodes that have applied the same revision reckon alike, however old the heartbeats
    are, and place the same job on the same node.
M2  What ranks another node first is left to it for CLAIM_RANK_MS for each node before this one. A
    node that lets this pass is left out until it claims again, for SILENT_MS at most: one that is
    frozen delays one job, not all of them.
Times are milliseconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.core.peers import Peers
from actors.core.placement import NodeCapacity, Placed
from actors.core.view import View
from actors.model import keys
from actors.model.job import Attempt
from actors.model.spec import Resources

__all__ = ["CLAIM_RANK_MS", "SILENT_MS", "ClaimTurns", "Room", "cordoned"]

CLAIM_RANK_MS: Final = 200
SILENT_MS: Final = 5_000


def cordoned(view: View, node: str) -> bool:
    """Say whether a node takes no new work, by its record."""
    entry = view.get(keys.node(node))
    return entry is not None and entry.noun.cordoned


class Room:
    """The attempts of other nodes, kept from the feed, and what is free beside them (M1)."""

    def __init__(self, view: View, peers: Peers) -> None:
        self._view = view
        self._peers = peers
        self._held: dict[str, dict[str, Resources]] = {}  # by node: attempt → what it takes
        self._node_of: dict[str, str] = {}

    def clear(self) -> None:
        """Forget all attempts: they are found anew."""
        self._held.clear()
        self._node_of.clear()

    def take(self, attempt: str, noun: Attempt, resources: Resources) -> None:
        """An attempt is in the state; again is the same."""
        self._node_of[attempt] = noun.node
        self._held.setdefault(noun.node, {})[attempt] = resources

    def free(self, attempt: str) -> None:
        """An attempt has gone, if it was there."""
        node = self._node_of.pop(attempt, None)
        if node is not None:
            del self._held[node][attempt]

    def others(self) -> list[NodeCapacity]:
        """Return the other nodes that are alive and have a session, with what they have free."""
        return [
            self._of(node, capacity)
            for node, capacity in self._peers.capacities().items()
            if node != self._peers.node and self._is_up(node)
        ]

    def takers(self) -> list[NodeCapacity]:
        """Return those of them that could start something now."""
        return [e for e in self.others() if e.slots_free > 0 and e.ready and not e.cordoned]

    def _is_up(self, node: str) -> bool:
        entry = self._view.get(keys.session(node))
        return entry is not None and entry.noun.state == "up"

    def _of(self, node: str, said: NodeCapacity) -> NodeCapacity:
        held = self._held.get(node, {}).values()
        return said._replace(
            slots_free=said.slots_total - len(held),
            cpu_milli_free=said.cpu_milli_total - sum(taken.cpu_milli for taken in held),
            memory_free=said.memory_total - sum(taken.memory_bytes for taken in held),
            cordoned=cordoned(self._view, node),
        )


class ClaimTurns:
    """Since when jobs that rank another node first could have started there (M2)."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._since_ms: dict[tuple[str, int], int] = {}
        self._silent: dict[str, int] = {}  # node → until when it is left out

    def heard(self, node: str) -> None:
        """A node claims."""
        self._silent.pop(node, None)

    def speaking(self, nodes: Iterable[NodeCapacity], now_ms: int) -> list[NodeCapacity]:
        """Return the nodes that are not left out."""
        return [each for each in nodes if self._silent.get(each.node, 0) <= now_ms]

    def of(self, placed: Iterable[Placed], now_ms: int) -> tuple[list[tuple[str, int]], int | None]:
        """Return what is this node's to claim now, best first, and when to look again, if ever."""
        mine: list[tuple[str, int]] = []
        since_ms: dict[tuple[str, int], int] = {}
        next_ms = None
        for found in placed:
            work = found.job_id, found.task_index
            rank = found.nodes.index(self._node) if self._node in found.nodes else -1
            if rank < 0:
                continue
            if rank:
                since_ms[work] = self._since_ms.get(work, now_ms)
                turn_ms = since_ms[work] + rank * CLAIM_RANK_MS
                if turn_ms > now_ms:
                    next_ms = turn_ms if next_ms is None else min(next_ms, turn_ms)
                    continue
                self._silent |= dict.fromkeys(found.nodes[:rank], now_ms + SILENT_MS)
            mine.append(work)
        self._since_ms = since_ms
        return mine, next_ms
