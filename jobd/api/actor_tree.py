"""Handlers of /actors: the live tree of this node."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.errors import NotFound
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.node_views import ActorView
from jobd.api.query import ListQuery, ReadQuery
from jobd.api.route import Route

__all__ = ["ROUTES"]


class ActorQuery(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Actors whose address begins with `prefix`."""

    prefix: str = ""


class ActorPage(msgspec.Struct, frozen=True):
    """Actors by address; `parent` makes the tree."""

    items: list[ActorView]
    next_cursor: str | None


async def list_actors(call: Call[ActorQuery, None]) -> Reply:
    """List the live actors of this node."""
    query, after = call.query, read_cursor(call.query)
    rows = sorted(call.gateway.actors(), key=lambda row: row.address)
    rows = [r for r in rows if r.address > after and r.address.startswith(query.prefix)]
    page = rows[: query.limit]
    more = len(rows) > len(page)
    return Reply(ActorPage(page, make_cursor(page[-1].address, query) if more else None))


async def get_actor(call: Call[ReadQuery, None]) -> Reply:
    """Return one actor; its address is the path behind /actors."""
    address = "/" + call.path("address").lstrip("/")
    for row in call.gateway.actors():
        if row.address == address:
            return Reply(row)
    raise NotFound(f"no actor lives at {address}", remedy="`GET /actors` lists those that do.")


ROUTES: Final = (
    Route(
        "GET",
        "/actors",
        "read",
        list_actors,
        "List the live actors",
        query=ActorQuery,
        returns=ActorPage,
    ),
    Route(
        "GET",
        "/actors/{address:.+}",
        "read",
        get_actor,
        "Get a live actor",
        query=ReadQuery,
        returns=ActorView,
    ),
)
