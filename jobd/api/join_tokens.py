"""Handlers of /cluster/join-tokens: leave for nodes that are to join, one each."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.spec.quantity import DURATION_PATTERN, duration_ms
from actors.errors import InvalidInput
from actors.model import keys
from actors.model.join_token import JoinToken
from jobd.api.call import Call, Reply, once
from jobd.api.query import NoQuery, ReadQuery
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp
from jobd.api.tokens import Minted

__all__ = ["ROUTES", "JoinTokenPage"]


class JoinTokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that lets one empty node join within `ttl`, a duration."""

    ttl: Annotated[str, Meta(extra_json_schema={"pattern": DURATION_PATTERN})] = "1h"


class JoinTokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A join token without its secret."""

    id: str
    created_at: Stamp
    expires_at: Stamp


class JoinTokenPage(msgspec.Struct, frozen=True):
    """All join tokens that were not used."""

    items: list[JoinTokenView]
    next_cursor: str | None


async def list_join_tokens(call: Call[ReadQuery, None]) -> Reply:
    """List the join tokens that were not used."""
    items = []
    for key, entry in call.gateway.view.scan(keys.join_token("")):
        token: JoinToken = entry.noun
        if token.expires_ms > call.clock():
            created, expires = stamp(token.created_ms), stamp(token.expires_ms)
            view = JoinTokenView(id=keys.last(key), created_at=created, expires_at=expires)
            items.append(view)
    return Reply(JoinTokenPage(items, None))


async def create_join_token(call: Call[NoQuery, JoinTokenBody]) -> Reply:
    """Make a token that lets one empty node join; its text is shown this once."""
    ttl_ms = duration_ms(call.body.ttl)
    if not ttl_ms or ttl_ms > limits.DURATION_MS:
        raise InvalidInput(f"ttl must be a duration such as 1h, not {call.body.ttl!r}")
    minted = await call.gateway.cluster.create_join_token(
        ttl_ms, request=call.request_key("create_join_token")
    )
    return once(minted.written, Minted(minted.token_id, minted.text))


async def revoke_join_token(call: Call[NoQuery, Any]) -> Reply:
    """Revoke a join token."""
    return Reply(revision=await call.gateway.cluster.revoke_join_token(call.path("id")))


ROUTES: Final = (
    Route(
        "GET",
        "/cluster/join-tokens",
        "admin",
        list_join_tokens,
        "List join tokens",
        query=ReadQuery,
        returns=JoinTokenPage,
    ),
    Route(
        "POST",
        "/cluster/join-tokens",
        "admin",
        create_join_token,
        "Make a join token",
        body=JoinTokenBody,
        example={"ttl": "1h"},
        returns=Minted,
        status=201,
        repeatable=True,
        confidential=True,
    ),
    Route(
        "DELETE",
        "/cluster/join-tokens/{id}",
        "admin",
        revoke_join_token,
        "Revoke a join token",
        status=204,
    ),
)
