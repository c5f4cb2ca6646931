"""Handlers of /secrets: put and deleted by name, listed by name, never read back."""

from __future__ import annotations

from typing import Final

import msgspec

from actors import limits
from actors.errors import InvalidInput, TooLarge
from actors.model import keys
from actors.model.ids import NAME_RE
from actors.model.secret import Secret
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.query import ListQuery, NoQuery
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES"]

BYTES: Final = "application/octet-stream"


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is listed; nothing of its value, not even the length."""

    name: str
    revision: int
    updated_at: Stamp


class SecretPage(msgspec.Struct, frozen=True):
    """Secrets by name."""

    items: list[SecretView]
    next_cursor: str | None


class SecretPut(msgspec.Struct, frozen=True):
    """A secret that was put."""

    name: str
    revision: int


async def list_secrets(call: Call[ListQuery, None]) -> Reply:
    """List the names of the secrets."""
    limit, after = call.query.limit, read_cursor(call.query)
    items: list[SecretView] = []
    for key, entry in call.gateway.view.scan(keys.secret(""), after and keys.secret(after)):
        if len(items) == limit:
            return Reply(SecretPage(items, make_cursor(items[-1].name, call.query)))
        secret: Secret = entry.noun
        items.append(
            SecretView(
                name=keys.last(key), revision=entry.revision, updated_at=stamp(secret.updated_ms)
            )
        )
    return Reply(SecretPage(items, None))


async def put_secret(call: Call[NoQuery, bytes]) -> Reply:
    """Put a secret: its value is the body. `If-Match`, `If-None-Match: *` make it conditional."""
    name = _name(call.path("name"))
    if len(call.body) > limits.SECRET_BYTES:
        raise TooLarge(f"a secret has at most {limits.SECRET_BYTES} bytes (SECRET_BYTES)")
    revision = await call.gateway.put_secret(
        name, call.body, if_match=call.if_match, if_none_match=call.if_none_match
    )
    return Reply(SecretPut(name, revision), revision=revision, etag=revision)


async def delete_secret(call: Call[NoQuery, None]) -> Reply:
    """Delete a secret; `If-Match` makes it conditional."""
    name = _name(call.path("name"))
    return Reply(revision=await call.gateway.delete_secret(name, if_match=call.if_match))


def _name(name: str) -> str:
    if not NAME_RE.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a secret: it must match {NAME_RE.pattern}")
    return name


ROUTES: Final = (
    Route(
        "GET",
        "/secrets",
        "admin",
        list_secrets,
        "List the names of the secrets",
        query=ListQuery,
        returns=SecretPage,
    ),
    Route(
        "PUT",
        "/secrets/{name}",
        "admin",
        put_secret,
        "Put a secret",
        body=bytes,
        accepts=(BYTES,),
        returns=SecretPut,
        confidential=True,
        etag=True,
        conditional=True,
    ),
    Route(
        "DELETE",
        "/secrets/{name}",
        "admin",
        delete_secret,
        "Delete a secret",
        status=204,
        conditional=True,
    ),
)
