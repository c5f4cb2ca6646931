"""Handlers of /actors: the live tree of this node, and of any other that is asked for."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.errors import NotFound
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.node_views import ActorView
from jobd.api.query import ListQuery, NodeId, ReadQuery
from jobd.api.route import Route

__all__ = ["ROUTES"]


class ActorQuery(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Actors whose address begins with `prefix`; `node` is the id of another node."""

    prefix: str = ""
    node: NodeId | None = None


class ActorGet(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`node` is the id of another node."""

    node: NodeId | None = None


class ActorPage(msgspec.Struct, frozen=True):
    """Actors by address; `parent` makes the tree."""

    items: list[ActorView]
    next_cursor: str | None


async def list_actors(call: Call[ActorQuery, None]) -> Reply:
    """List the live actors of this node, or of another."""
    elsewhere = await _elsewhere(call, "list_actors")
    if elsewhere is not None:
        return elsewhere
    query, after = call.query, read_cursor(call.query)
    rows = sorted(call.gateway.actors(), key=lambda row: row.address)
    rows = [r for r in rows if r.address > after and r.address.startswith(query.prefix)]
    page = rows[: query.limit]
    more = len(rows) > len(page)
    return Reply(ActorPage(page, make_cursor(page[-1].address, query) if more else None))


async def get_actor(call: Call[ActorGet, None]) -> Reply:
    """Return one actor; its address is the path behind /actors."""
    elsewhere = await _elsewhere(call, "get_actor")
    if elsewhere is not None:
        return elsewhere
    address = "/" + call.path("address").lstrip("/")
    for row in call.gateway.actors():
        if row.address == address:
            return Reply(row)
    raise NotFound(f"no actor lives at {address}", remedy="`GET /actors` lists those that do.")


async def _elsewhere(call: Call[Any, None], operation: str) -> Reply | None:
    """Return what another node answers, when the query names one."""
    node = call.query.node
    if node is None or node == call.gateway.node().id:
        return None
    query = msgspec.structs.asdict(call.query)
    asked = ("prefix", "limit", "cursor")
    pairs = tuple((name, str(query[name])) for name in asked if query.get(name))
    return Reply(await call.gateway.ask_node(node, operation, dict(call.params), pairs))


ROUTES: Final = (
    Route(
        "GET",
        "/actors",
        "read",
        list_actors,
        "List the live actors",
        query=ActorQuery,
        returns=ActorPage,
        errors=("not_found", "node_unreachable"),
    ),
    Route(
        "GET",
        "/actors/{address:.+}",
        "read",
        get_actor,
        "Get a live actor",
        query=ActorGet,
        returns=ActorView,
        errors=("node_unreachable",),
    ),
)
