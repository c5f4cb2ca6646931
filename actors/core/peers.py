"""What this node knows of the others right now, for whoever is in the same process.

The actor `/detector` writes it, all others only read. It is a hint: who is alive here may be dead
or given up, and two nodes need not agree. A node alone has one too, and is its own only peer.
"""

from __future__ import annotations

from actors.core.heartbeat import Heartbeat
from actors.core.placement import NodeCapacity

__all__ = ["Peers"]


class Peers:
    """What is said in passing: `keeps_time`, whether this node may propose what depends on time
    (its clock is not off); `in_contact`, whether it may begin: a majority of voters is there, and
    the cluster's time is known.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.keeps_time = True
        self.in_contact = True
        self._voters: tuple[str, ...] = (node,)
        self._alive = frozenset({node})
        self._leader = node
        self._heartbeats: dict[str, Heartbeat] = {}
        self._heard_ms: dict[str, int] = {}
        self._isolated_since_ms: int | None = None
        self._conditions: tuple[str, ...] = ()

    # -- for all

    def voters(self) -> tuple[str, ...]:
        """Return the voters of the present epoch, in the order of their replica numbers."""
        return self._voters

    def alive(self) -> frozenset[str]:
        """Return the nodes that are not suspected, this one included."""
        return self._alive

    def leader(self) -> str:
        """Return the first voter that is not suspected; this node when it suspects them all."""
        return self._leader

    def heartbeat(self, node: str) -> Heartbeat | None:
        """Return the last heartbeat of another node, None when none came since this one began."""
        return self._heartbeats.get(node)

    def heard_ms(self, node: str, now_ms: int) -> int | None:
        """Return how long ago the last heartbeat of a node came, None when none did; 0: this one.

        `now_ms` is of the monotonic clock.
        """
        if node == self.node:
            return 0
        at_ms = self._heard_ms.get(node)
        return None if at_ms is None else max(0, now_ms - at_ms)

    def capacities(self) -> dict[str, NodeCapacity]:
        """Return what the other nodes that are alive have free, as they said last."""
        return {
            node: heartbeat.capacity
            for node, heartbeat in self._heartbeats.items()
            if node in self._alive
        }

    def isolated_ms(self, now_ms: int) -> int:
        """Return for how long no majority of voters has been in contact; 0: one is.

        `now_ms` is of the monotonic clock, as of `Group.step` and of deadlines.
        """
        since_ms = self._isolated_since_ms
        return 0 if since_ms is None else max(1, now_ms - since_ms)

    def conditions(self, node: str) -> tuple[str, ...]:
        """Return what a node says keeps it from all it could do; nothing of one not heard."""
        if node == self.node:
            return self._conditions
        heartbeat = self._heartbeats.get(node)
        return heartbeat.conditions if heartbeat is not None else ()

    # -- for the detector

    def hear(self, heartbeat: Heartbeat, now_ms: int) -> None:
        """Keep the last heartbeat of a node, and when it came."""
        self._heartbeats[heartbeat.node] = heartbeat
        self._heard_ms[heartbeat.node] = now_ms

    def forget(self, node: str) -> None:
        """Forget a node that has gone for good."""
        self._heartbeats.pop(node, None)
        self._heard_ms.pop(node, None)

    def update(
        self,
        *,
        voters: tuple[str, ...],
        alive: frozenset[str],
        leader: str,
        isolated_since_ms: int | None,
        conditions: tuple[str, ...],
        keeps_time: bool,
        in_contact: bool = True,
    ) -> None:
        """Take what the detector believes now."""
        if voters != self._voters:  # else it stays the very same: who compares it is quick
            self._voters = voters
        self._alive = alive
        self._leader = leader
        self._isolated_since_ms = isolated_since_ms
        self._conditions = conditions
        self.keeps_time = keeps_time
        self.in_contact = in_contact
