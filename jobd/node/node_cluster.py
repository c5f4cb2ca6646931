"""The nodes of the cluster for the doors: how each does, and what an operator has them do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from actors.core.consensus.group import GroupStatus
from actors.core.homes import home_key, ranks
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.store.state import State
from actors.core.store.txn import Txn, absent, at
from actors.errors import NotFound
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.node import NodeRecord
from actors.runtime import Clock
from jobd.api.cluster_views import ClusterView
from jobd.api.node_views import DrainMode, NodeView
from jobd.node.cluster_view import cluster_view
from jobd.node.contact import Contact
from jobd.node.node_view import other_view
from jobd.node.writer import Writer

__all__ = ["NodeCluster"]


class NodeCluster:
    """Implements jobd.api.cluster_gateway.ClusterGateway.

    `own` is this node's view of itself, `group` what its consensus says of itself, `capacities`
    what the nodes that are alive have free.
    """

    def __init__(
        self,
        state: State,
        peers: Peers,
        writer: Writer,
        contact: Contact,
        clock: Clock,
        *,
        own: Callable[[], NodeView],
        group: Callable[[], GroupStatus],
        capacities: Callable[[], Iterable[NodeCapacity]],
    ) -> None:
        self._state = state
        self._peers = peers
        self._writer = writer
        self._contact = contact
        self._clock = clock
        self._own = own
        self._group = group
        self._capacities = capacities

    @property
    def stale_ms(self) -> int:
        """How long ago this node last heard a majority of the voters, 0 while it does."""
        return self._contact.isolated_ms

    def view(self) -> ClusterView:
        """Return the cluster as this node sees it."""
        return cluster_view(
            self._group(),
            self.nodes(),
            node=self._peers.node,
            alive=self._peers.alive(),
            leader=self._peers.leader(),
            isolated_ms=self._contact.isolated_ms,
            revision=self._state.revision,
        )

    def nodes(self) -> list[NodeView]:
        """Return all nodes that have a session or a record, or vote, by id."""
        voters = self._peers.voters()
        known = {self._peers.node, *voters}
        for prefix in (keys.session(""), keys.node("")):
            known.update(keys.last(key) for key, _ in self._state.scan(prefix))
        own = self._own()
        free = {capacity.node: capacity for capacity in self._capacities()}
        return [
            own
            if node == own.id
            else other_view(
                self._state,
                node,
                self._peers.heartbeat(node),
                free.get(node),
                role="voter" if node in voters else "worker",
                heard_ms=self._contact.heard_ms(node),
            )
            for node in sorted(known)
        ]

    def home_of(self, key: str) -> str:
        """Return the voter that decides first for an entity."""
        return ranks(self._state, self._peers.voters(), home_key(self._state, key))[0]

    async def cordon(self, node: str) -> int:
        """Have a node take no new work."""
        return await self._put(node, lambda record: replace(record, cordoned=True))

    async def uncordon(self, node: str) -> int:
        """Have a node take work again, and end its drain."""
        opened = {"cordoned": False, "drain": "", "drain_by_ms": 0}
        return await self._put(node, lambda record: replace(record, **opened))

    async def drain(self, node: str, mode: DrainMode, deadline_ms: int) -> int:
        """Cordon a node and empty it by a moment."""
        emptied = {"cordoned": True, "drain": mode, "drain_by_ms": deadline_ms}
        return await self._put(node, lambda record: replace(record, **emptied))

    async def _put(self, node: str, change: Callable[[NodeRecord], NodeRecord]) -> int:
        def decide() -> Txn | int:
            txn = _changed(self._state, node, change, self._clock.now_ms())
            return txn if txn is not None else self._state.revision

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def add_member(self, node: str) -> int:
        """Make a node that follows a voter."""
        raise NotImplementedError

    async def remove_member(self, node: str) -> int:
        """Make a voter one no more, or forget a worker that is gone."""
        raise NotImplementedError


def _changed(
    view: State, node: str, change: Callable[[NodeRecord], NodeRecord], now_ms: int
) -> Txn | None:
    """Return the transaction that changes a node's record, None when it is so already."""
    key, entry, session = keys.node(node), view.get(keys.node(node)), view.get(keys.session(node))
    if entry is not None:
        before: NodeRecord = entry.noun
    elif session is not None:
        before = NodeRecord(session.noun.name)
    else:
        raise NotFound(f"there is no node {node}", remedy="`jobctl node list` shows them")
    record = change(before)
    if record == before:
        return None
    draining = bool(record.drain) and not before.drain
    drained = EventDraft("jobd:node:draining", keys.session(node), {"node": node})
    return Txn(
        checks=(absent(key) if entry is None else at(key, entry.revision),),
        ops=((key, encode(record)),),
        events=(drained,) if draining else (),
        now_ms=now_ms,
    )
