"""Handlers of /tokens: who may do what."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.spec.quantity import DURATION_PATTERN, duration_ms
from actors.errors import InvalidInput
from actors.model import keys
from actors.model.ids import NAME_RE
from actors.model.token import Token
from jobd.api.call import Call, Reply, once
from jobd.api.query import NoQuery, ReadQuery
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp, stamp_or_none

__all__ = ["ROUTES"]


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to mint; `ttl` is a duration (`30d`), without one it never expires."""

    name: Annotated[str, Meta(extra_json_schema={"pattern": f"^{NAME_RE.pattern}$"})]
    scopes: Annotated[list[Literal["read", "run", "write", "admin"]], Meta(min_length=1)]
    ttl: Annotated[str, Meta(extra_json_schema={"pattern": DURATION_PATTERN})] | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: Stamp
    expires_at: Stamp | None
    revision: int


class TokenPage(msgspec.Struct, frozen=True):
    """All tokens."""

    items: list[TokenView]
    next_cursor: str | None


class Minted(msgspec.Struct, frozen=True):
    """A new token; its text is shown this once, so a replay has none.

    Whoever lost the first answer revokes the token by its id and mints another.
    """

    id: str
    token: str | None


async def list_tokens(call: Call[ReadQuery, None]) -> Reply:
    """List the tokens."""
    items = []
    for key, entry in call.gateway.view.scan(keys.token("")):
        token: Token = entry.noun
        items.append(
            TokenView(
                id=keys.last(key),
                name=token.name,
                scopes=token.scopes,
                created_at=stamp(token.created_ms),
                expires_at=stamp_or_none(token.expires_ms),
                revision=entry.revision,
            )
        )
    return Reply(TokenPage(items, None))


async def create_token(call: Call[NoQuery, TokenBody]) -> Reply:
    """Mint a token."""
    body = call.body
    if not NAME_RE.fullmatch(body.name):
        raise InvalidInput(f"a token's name must match {NAME_RE.pattern}")
    ttl_ms = 0 if body.ttl is None else duration_ms(body.ttl)
    if ttl_ms is None or (body.ttl is not None and ttl_ms == 0):
        raise InvalidInput(f"ttl must be a duration such as 30d, not {body.ttl!r}")
    if ttl_ms > limits.DURATION_MS:
        raise InvalidInput("ttl is over ten years (DURATION_MS)", remedy="Leave it out: for ever.")
    expires_ms = call.clock() + ttl_ms if ttl_ms else 0
    scopes = tuple(sorted(set(body.scopes)))
    minted = await call.gateway.create_token(
        body.name, scopes, expires_ms, request=call.request_key("create_token")
    )
    value = Minted(minted.token_id, minted.text)
    return once(minted.written, value, etag=minted.written.revision)


async def revoke_token(call: Call[NoQuery, Any]) -> Reply:
    """Revoke a token; `If-Match` makes it conditional."""
    revision = await call.gateway.revoke_token(call.path("id"), if_match=call.if_match)
    return Reply(revision=revision)


ROUTES: Final = (
    Route(
        "GET", "/tokens", "admin", list_tokens, "List tokens", query=ReadQuery, returns=TokenPage
    ),
    Route(
        "POST",
        "/tokens",
        "admin",
        create_token,
        "Mint a token",
        body=TokenBody,
        example={"name": "ci", "scopes": ["read", "run"], "ttl": "30d"},
        returns=Minted,
        status=201,
        repeatable=True,
        confidential=True,
        etag=True,
    ),
    Route(
        "DELETE",
        "/tokens/{id}",
        "admin",
        revoke_token,
        "Revoke a token",
        status=204,
        conditional=True,
    ),
)
