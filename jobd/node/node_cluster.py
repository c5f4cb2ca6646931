"""The nodes of the cluster for the doors: how each does, and what an operator has them do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from actors.core import client_keys, joining, membership, node_state
from actors.core.consensus.group import GroupStatus
from actors.core.homes import home_key, ranks
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.store.state import State
from actors.core.store.txn import Txn, at
from actors.errors import Conflict, NotFound
from actors.model import keys
from actors.model.epoch import Member
from actors.model.join_token import JoinTokenText, format_join_token
from actors.model.node import NodeRecord
from actors.replica_messages import ChangeEpoch
from actors.runtime import Clock
from jobd.api.cluster_views import ClusterView
from jobd.api.gateway import MintedToken, RequestKey
from jobd.api.node_views import DrainMode, NodeView
from jobd.node.cluster_view import cluster_view, executed_by
from jobd.node.contact import Contact
from jobd.node.node_view import other_view
from jobd.node.peer_reader import PeerReader
from jobd.node.repeats import Repeats
from jobd.node.writer import Writer

__all__ = ["ClusterSource", "NodeCluster"]


class ClusterSource(NamedTuple):
    """What a node knows of the cluster beside the store; the wiring fills it.

    `own` is its view of itself, `group` what its consensus says of itself, `capacities` what the
    nodes that are alive have free. `join_keys` gives, for the secret of a join token, its public
    key and the node's own as text; both are empty where links are not encrypted.
    """

    own: Callable[[], NodeView]
    group: Callable[[], GroupStatus]
    capacities: Callable[[], Iterable[NodeCapacity]]
    join_keys: Callable[[str], tuple[bytes, str]]


class NodeCluster:
    """Implements jobd.api.cluster_gateway.ClusterGateway."""

    def __init__(
        self,
        state: State,
        peers: Peers,
        writer: Writer,
        repeats: Repeats,
        contact: Contact,
        others: PeerReader,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        source: ClusterSource,
    ) -> None:
        self._state = state
        self._peers = peers
        self._writer = writer
        self._repeats = repeats
        self._contact = contact
        self._others = others
        self._clock = clock
        self._new_id = new_id
        self._source = source

    @property
    def stale_ms(self) -> int:
        """How long ago this node last heard a majority of the voters, 0 while it does."""
        return self._contact.isolated_ms

    def view(self) -> ClusterView:
        """Return the cluster as this node sees it."""
        return cluster_view(
            self._source.group(),
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
        own = self._source.own()
        free = {capacity.node: capacity for capacity in self._source.capacities()}
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

    # -- work

    async def cordon(self, node: str) -> int:
        """Have a node take no new work."""
        return await self._write(
            lambda: node_state.cordon(self._state, node, now_ms=self._clock.now_ms())
        )

    async def uncordon(self, node: str) -> int:
        """Have a node take work again, and end its drain."""
        return await self._write(
            lambda: node_state.uncordon(self._state, node, now_ms=self._clock.now_ms())
        )

    async def drain(self, node: str, mode: DrainMode, deadline_ms: int) -> int:
        """Cordon a node and empty it by a moment."""
        return await self._write(
            lambda: node_state.drain(
                self._state, node, mode, by_ms=deadline_ms, now_ms=self._clock.now_ms()
            )
        )

    async def _write(self, decide: Callable[[], Txn | ChangeEpoch | None]) -> int:
        """Return the revision of what is decided; nothing is: it is so already."""

        def decide_or_stay() -> Txn | ChangeEpoch | int:
            wanted = decide()
            return self._state.revision if wanted is None else wanted

        revision: int = await self._writer.write(decide_or_stay, frees=True)
        return revision

    # -- members

    async def add_member(self, node: str) -> int:
        """Make a node that follows a voter."""
        elsewhere = await self._at_a_voter("add_member", {}, msgspec.json.encode({"node": node}))
        if elsewhere is not None:
            return elsewhere
        return await self._write(lambda: self._with(node))

    def _with(self, node: str) -> ChangeEpoch:
        entry = self._state.get(keys.node(node))
        if entry is None:
            raise NotFound(f"no node {node!r}", remedy="`jobctl node list` lists them")
        record: NodeRecord = entry.noun
        if record.worker:
            raise Conflict(
                f"node {node} is a worker", remedy="start it with cluster.role: voter first"
            )
        status, alive = self._source.group(), self._peers.alive()
        executed = executed_by(status, self.nodes(), self._peers.node)
        lag = max(executed.values()) - executed[node] if executed.get(node) else None
        change = membership.add(
            status.epoch,
            Member(node, record.address, record.key),
            lag=lag,
            alive=alive,
            now_ms=self._clock.now_ms(),
        )
        return ChangeEpoch(change.txn, change.epoch)

    async def remove_member(self, node: str) -> int:
        """Make a voter one no more; forget a node that is gone."""
        elsewhere = await self._at_a_voter("remove_member", {"id": node}, b"")
        if elsewhere is not None:
            return elsewhere
        if node in self._peers.voters():
            revision = await self._write(lambda: self._without(node))
            session = self._state.get(keys.session(node))
            if session is not None and session.noun.state == "up":
                return revision
        return await self._write(lambda: self._forget(node))

    def _without(self, node: str) -> ChangeEpoch:
        epoch, alive = self._source.group().epoch, self._peers.alive()
        change = membership.remove(epoch, node, alive=alive, now_ms=self._clock.now_ms())
        return ChangeEpoch(change.txn, change.epoch)

    def _forget(self, node: str) -> Txn:
        """Return what leaves no trace of a node, once nothing of it is open any more."""
        names = (keys.session(node), keys.node(node))
        known = [(name, entry) for name in names if (entry := self._state.get(name)) is not None]
        if not known:
            raise NotFound(f"no node {node!r}", remedy="`jobctl node list` lists them")
        session = self._state.get(keys.session(node))
        if session is not None and session.noun.state == "up":
            raise Conflict(f"node {node} is up and has no vote", remedy="stop it first")
        running = node_state.running_on(self._state, node)
        if running:
            raise Conflict(
                f"node {node} has {running} attempts that are not decided yet",
                remedy="wait until they are requeued or have failed",
            )
        checks = tuple(at(name, entry.revision) for name, entry in known)
        ops = tuple((name, None) for name, _ in known)
        return Txn(checks, ops, now_ms=self._clock.now_ms())

    async def _at_a_voter(self, operation: str, params: dict[str, str], body: bytes) -> int | None:
        """Have a voter make a change of members where this node is none; None where it is."""
        voters = self._peers.voters()
        if self._peers.node in voters:
            return None
        leader = self._peers.leader()
        reply = await self._others.perform(leader, operation, params, body=body)
        return int(reply.headers["X-JobD-Revision"])

    # -- newcomers

    async def create_join_token(self, ttl_ms: int, *, request: RequestKey) -> MintedToken:
        """Make a token for one node that is to join, once."""
        secret = secrets.token_hex(32)
        key, own_key = self._source.join_keys(secret)
        token_id, now_ms = self._new_id(), self._clock.now_ms()

        def decide() -> Txn:
            return joining.mint(
                self._state, token_id, secret, key=key, expires_ms=now_ms + ttl_ms, now_ms=now_ms
            )

        written, made = await self._repeats.write(decide, request, made=token_id)
        text = format_join_token(JoinTokenText(token_id, secret, own_key))
        return MintedToken(made, None if written.replayed else text, written)

    async def revoke_join_token(self, token_id: str) -> int:
        """Delete a join token."""

        def decide() -> Txn:
            name = keys.join_token(token_id)
            entry = self._state.get(name)
            if entry is None:
                raise NotFound(f"there is no join token {token_id}")
            return Txn((at(name, entry.revision),), ((name, None),), now_ms=self._clock.now_ms())

        return await self._write(decide)

    # -- clients

    async def put_client_key(self, name: str, key: bytes) -> int:
        """Have all nodes let a client in by its public key."""
        now_ms = self._clock.now_ms()
        return await self._write(lambda: client_keys.put(self._state, name, key, now_ms=now_ms))

    async def delete_client_key(self, name: str) -> int:
        """Have no node let a client in any more."""
        now_ms = self._clock.now_ms()
        return await self._write(lambda: client_keys.delete(self._state, name, now_ms=now_ms))
