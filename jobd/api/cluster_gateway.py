"""The joint between the facade and the node for the nodes of the cluster.

`jobd/node/node_cluster.py` implements it over the store and what this node hears of the others.
Changes raise what writes do: NoQuorum, OutcomeUnknown, Busy, ReadOnly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from jobd.api.cluster_views import ClusterView
from jobd.api.node_views import DrainMode, NodeView

if TYPE_CHECKING:
    from jobd.api.gateway import MintedToken, RequestKey

__all__ = ["ClusterGateway"]


class ClusterGateway(Protocol):
    """What the facade asks of the node about the nodes, and has done with them."""

    @property
    def stale_ms(self) -> int:
        """How long ago the node last heard a majority of the voters, 0 while it does."""

    def view(self) -> ClusterView:
        """Return the cluster as this node sees it."""

    def nodes(self) -> list[NodeView]:
        """Return every node that ever had a session and was not removed, by id."""

    def home_of(self, key: str) -> str:
        """Return the voter that decides first for an entity of the store."""

    async def cordon(self, node: str) -> int:
        """Have a node take no new work. Raises NotFound."""

    async def uncordon(self, node: str) -> int:
        """Have a node take work again, and end its drain. Raises NotFound."""

    async def drain(self, node: str, mode: DrainMode, deadline_ms: int) -> int:
        """Cordon a node and empty it by a moment, 0: in its own time. Raises NotFound."""

    async def add_member(self, node: str) -> int:
        """Make a node that follows a voter. Raises NotFound, Conflict."""

    async def remove_member(self, node: str) -> int:
        """Make a voter one no more, or forget a worker that is gone. Raises NotFound, Conflict."""

    async def create_join_token(self, ttl_ms: int, *, request: RequestKey) -> MintedToken:
        """Make a token for one node that is to join, once. Raises Busy, IdempotencyMismatch."""

    async def revoke_join_token(self, token_id: str) -> int:
        """Delete a join token. Raises NotFound."""

    async def put_client_key(self, name: str, key: bytes) -> int:
        """Have all nodes let a client in by its public key. Raises Busy, Conflict."""

    async def delete_client_key(self, name: str) -> int:
        """Have no node let a client in any more. Raises NotFound."""
