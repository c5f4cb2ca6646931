"""Handlers of /cluster and /nodes: who takes part, how each does, and what it is to do."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.spec.quantity import DURATION_PATTERN, duration_ms
from actors.errors import InvalidInput, NotFound
from jobd.api.call import Call, Reply
from jobd.api.cluster_views import ClusterView
from jobd.api.node_views import DrainMode, NodeView
from jobd.api.query import NoQuery, ReadQuery
from jobd.api.route import Route

__all__ = ["ROUTES", "DrainBody", "MemberBody", "NodePage"]


class NodePage(msgspec.Struct, frozen=True):
    """The nodes of the cluster."""

    items: list[NodeView]
    next_cursor: str | None


class DrainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to empty a node: `deadline` is a duration from now, without one it takes its time."""

    mode: DrainMode = "finish"
    deadline: Annotated[str, Meta(extra_json_schema={"pattern": DURATION_PATTERN})] | None = None


class MemberBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The id of a node that is to vote: one that follows already."""

    node: str


async def get_cluster(call: Call[ReadQuery, None]) -> Reply:
    """Return who makes up the cluster, and how its consensus does."""
    return Reply(call.gateway.cluster.view())


async def list_nodes(call: Call[ReadQuery, None]) -> Reply:
    """List the nodes, also those that are lost or left."""
    return Reply(NodePage(call.gateway.cluster.nodes(), None))


async def get_node(call: Call[ReadQuery, None]) -> Reply:
    """Return one node."""
    return Reply(_node(call))


async def cordon_node(call: Call[NoQuery, None]) -> Reply:
    """Have a node take no new work; what runs there goes on."""
    revision = await call.gateway.cluster.cordon(_node(call).id)
    return Reply(_node(call), revision=revision)


async def uncordon_node(call: Call[NoQuery, None]) -> Reply:
    """Have a node take work again; a drain that is under way ends."""
    revision = await call.gateway.cluster.uncordon(_node(call).id)
    return Reply(_node(call), revision=revision)


async def drain_node(call: Call[NoQuery, DrainBody]) -> Reply:
    """Cordon a node and empty it: let what runs finish, or requeue it elsewhere."""
    node, deadline_ms = _node(call).id, 0
    if call.body.deadline is not None:
        left_ms = duration_ms(call.body.deadline)
        if left_ms is None or left_ms > limits.DURATION_MS:
            raise InvalidInput(
                f"deadline must be a duration such as 10m, not {call.body.deadline!r}"
            )
        deadline_ms = call.clock() + left_ms
    revision = await call.gateway.cluster.drain(node, call.body.mode, deadline_ms)
    return Reply(_node(call), revision=revision)


async def add_member(call: Call[NoQuery, MemberBody]) -> Reply:
    """Make a node that follows a voter: a new epoch begins."""
    revision = await call.gateway.cluster.add_member(call.body.node)
    return Reply(call.gateway.cluster.view(), revision=revision)


async def remove_member(call: Call[NoQuery, Any]) -> Reply:
    """Make a voter one no more, in a new epoch; or forget a node that is gone for good."""
    revision = await call.gateway.cluster.remove_member(call.path("id"))
    return Reply(revision=revision)


def _node(call: Call[Any, Any]) -> NodeView:
    wanted = call.path("id")
    for node in call.gateway.cluster.nodes():
        if node.id == wanted:
            return node
    raise NotFound(f"no node {wanted!r}", remedy="`GET /nodes` lists them.")


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
    Route(
        "POST",
        "/cluster/members",
        "admin",
        add_member,
        "Make a node a voter",
        body=MemberBody,
        returns=ClusterView,
        errors=("not_found", "conflict"),
    ),
    Route(
        "DELETE",
        "/cluster/members/{id}",
        "admin",
        remove_member,
        "Remove a member",
        status=204,
        errors=("conflict",),
    ),
    Route("GET", "/nodes", "read", list_nodes, "List nodes", query=ReadQuery, returns=NodePage),
    Route("GET", "/nodes/{id}", "read", get_node, "Get a node", query=ReadQuery, returns=NodeView),
    Route(
        "POST",
        "/nodes/{id}/drain",
        "write",
        drain_node,
        "Empty a node",
        body=DrainBody,
        example={"mode": "requeue", "deadline": "10m"},
        returns=NodeView,
    ),
    Route("POST", "/nodes/{id}/cordon", "write", cordon_node, "Cordon a node", returns=NodeView),
    Route(
        "POST",
        "/nodes/{id}/uncordon",
        "write",
        uncordon_node,
        "Uncordon a node",
        returns=NodeView,
    ),
)
