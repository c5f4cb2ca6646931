"""The links of a node with the others: whom it dials, whom it lets in, who is linked now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from actors import addresses
from actors.core.consensus.group import Tick
from actors.core.consensus.messages import Packet
from actors.core.heartbeat import Heartbeat
from actors.core.history import Batch
from actors.core.history_port import ReadRange
from actors.core.joining import JOIN_TYPES, reachable
from actors.core.snapshot import SNAPSHOT_TYPES
from actors.core.view import View
from actors.errors import Forbidden
from actors.formation import FORMATION_TYPES
from actors.forwarding import Forward, Judged
from actors.model import keys
from actors.model.epoch import Epoch
from actors.peer_door import PEER_TYPES
from actors.runtime import LoopHost
from actors.runtime.cell import TimerHandle
from actors.runtime.hello import Hello
from actors.runtime.link import Link
from actors.runtime.mesh import LinkRow, Mesh
from jobd.node.wiring.port_keys import Vouching

__all__ = ["NODE_TYPES", "NodeLinks"]

_log: Final = logging.getLogger(__name__)
_TELL_EVERY_S: Final = 10.0

# What nodes say to each other, and nobody else to a node.
NODE_TYPES: Final = (
    Forward,
    Heartbeat,
    Judged,
    Packet,
    Batch,
    ReadRange,
    *FORMATION_TYPES,
    *JOIN_TYPES,
    *PEER_TYPES,
    *SNAPSHOT_TYPES,
)


class NodeLinks:
    """Follows the present epoch and the node records of the view."""

    def __init__(
        self, host: LoopHost, view: View, node: str, epoch: Callable[[], Epoch], silence_s: float
    ) -> None:
        self._host = host
        self._view = view
        self._node = node
        self._epoch = epoch
        self._silence_s = silence_s
        self._mesh: Mesh | None = None
        self._up: set[str] = set()
        self._dialled: set[str] = set()
        self._told: set[tuple[str, str]] = set()  # what was said of nodes that aren't linked
        self._timer: TimerHandle | None = None

    def is_linked(self, node: str) -> bool:
        """Say whether a message would reach a node now."""
        return node in self._up

    def linked(self) -> frozenset[str]:
        """Return the nodes of the cluster that are linked now. From any thread."""
        return frozenset(self._up)

    def donors(self) -> tuple[str, ...]:
        """Return who may have a snapshot, voters first. From any thread."""
        voters = self._epoch().nodes
        return tuple(sorted(self.linked(), key=lambda node: (node not in voters, node)))

    def rows(self) -> list[LinkRow]:
        """Return a row for each node that is dialled or linked."""
        return self._mesh.rows() if self._mesh is not None else []

    def open(self, link: Link) -> None:
        """Begin to dial, and to let nodes in, over the port of a link."""
        self._mesh = Mesh(
            link,
            cluster=self._epoch().cluster,
            admit=self._admit,
            vouch=Vouching(self._host.clock).check,
            on_up=self._came_up,
            on_down=lambda node, _: self._up.discard(node),
            silence_s=self._silence_s,
        )
        self.follow()
        self._timer = self._host.call_later(_TELL_EVERY_S, self._tell_trouble)

    def close(self) -> None:
        """Look no more at how the links are; they end with the port."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell_trouble(self) -> None:
        """Say why nodes are not linked, each reason once."""
        told = {(row.node, row.error) for row in self.rows() if row.state == "down" and row.error}
        for node, error in sorted(told - self._told):
            _log.warning("node %s can't be reached: %s", node or "?", error)
        self._told = told
        self._timer = self._host.call_later(_TELL_EVERY_S, self._tell_trouble)

    def follow(self) -> None:
        """Dial whom the epoch and the records name; part with whom they don't name any more."""
        if self._mesh is None:
            return
        wanted = {each.node: each for each in reachable(self._view, self._epoch())}
        wanted.pop(self._node, None)
        for node in self._dialled - wanted.keys():
            self._mesh.forget(node)
        for each in wanted.values():
            self._mesh.connect(each.node, each.address, each.key)
        self._dialled = set(wanted)

    def _came_up(self, node: str) -> None:
        self._up.add(node)
        self._host.tell(addresses.REPLICA, Tick())  # it has something to say at once

    def _admit(self, hello: Hello, key: bytes) -> None:
        """Let in whom the store names, by its own key; and who is of no cluster, as a guest."""
        if not hello.cluster:
            return
        found = {m.node: m.key for m in self._epoch().members}
        entry = self._view.get(keys.node(hello.node))
        if entry is not None:
            found[hello.node] = entry.noun.key or found.get(hello.node, b"")
        if hello.node not in found:
            raise Forbidden(
                f"node {hello.node[:64]} is not of this cluster", remedy="start it with --join"
            )
        if found[hello.node] and found[hello.node] != key:
            raise Forbidden(f"node {hello.node[:64]} comes with another key than its own")
