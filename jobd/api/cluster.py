"""Handlers of /cluster and /nodes: who takes part, and how each does."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from actors.errors import NotFound
from jobd.api.call import Call, Reply
from jobd.api.node_views import NodeView
from jobd.api.query import ReadQuery
from jobd.api.route import Route

__all__ = ["ROUTES"]


class Member(msgspec.Struct, frozen=True):
    """A node that votes."""

    id: str
    name: str
    state: str


class ClusterView(msgspec.Struct, frozen=True):
    """The cluster as this node sees it: one that is `solo` is all of it, and its own quorum."""

    mode: Literal["solo"]
    quorum: int
    members: list[Member]
    revision: int


class NodePage(msgspec.Struct, frozen=True):
    """The nodes of the cluster."""

    items: list[NodeView]
    next_cursor: str | None


async def get_cluster(call: Call[ReadQuery, None]) -> Reply:
    """Return who makes up the cluster."""
    node = call.gateway.node()
    member = Member(node.id, node.name, node.state)
    return Reply(ClusterView("solo", 1, [member], call.gateway.view.revision))


async def list_nodes(call: Call[ReadQuery, None]) -> Reply:
    """List the nodes."""
    return Reply(NodePage([call.gateway.node()], None))


async def get_node(call: Call[ReadQuery, None]) -> Reply:
    """Return one node."""
    node = call.gateway.node()
    if call.path("id") != node.id:
        raise NotFound(f"no node {call.path('id')!r}", remedy="`GET /nodes` lists them.")
    return Reply(node)


ROUTES: Final = (
    Route(
        "GET",
        "/cluster",
        "read",
        get_cluster,
        "Get the cluster",
        query=ReadQuery,
        returns=ClusterView,
    ),
    Route("GET", "/nodes", "read", list_nodes, "List nodes", query=ReadQuery, returns=NodePage),
    Route("GET", "/nodes/{id}", "read", get_node, "Get a node", query=ReadQuery, returns=NodeView),
)
