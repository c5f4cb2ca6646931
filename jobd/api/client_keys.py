"""Handlers of /cluster/keys: the clients that all nodes with keys let in at their cluster ports."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.errors import InvalidInput
from actors.model import keys
from actors.model.client_key import ClientKey
from actors.model.ids import NAME_RE
from jobd.api.call import Call, Reply
from jobd.api.query import NoQuery, ReadQuery
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES", "ClientKeyPage", "ClientKeyPut", "ClientKeyView"]

_KEY: Final = "^[0-9a-fA-F]{64}$"


class ClientKeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client's public key, as `jobd keys new --client FILE` prints it."""

    key: Annotated[str, Meta(pattern=_KEY)]


class ClientKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A client that is let in."""

    name: str
    key: str
    created_at: Stamp
    revision: int


class ClientKeyPage(msgspec.Struct, frozen=True):
    """All clients that are let in, by name."""

    items: list[ClientKeyView]
    next_cursor: str | None


class ClientKeyPut(msgspec.Struct, frozen=True):
    """A key that was put."""

    name: str
    revision: int


async def list_client_keys(call: Call[ReadQuery, None]) -> Reply:
    """List the clients that all nodes let in."""
    items = []
    for place, entry in call.gateway.view.scan(keys.client_key("")):
        known: ClientKey = entry.noun
        items.append(
            ClientKeyView(
                name=keys.last(place),
                key=known.key.hex(),
                created_at=stamp(known.created_ms),
                revision=entry.revision,
            )
        )
    return Reply(ClientKeyPage(items, None))


async def put_client_key(call: Call[NoQuery, ClientKeyBody]) -> Reply:
    """Let a client in at every node, by its public key."""
    name = _name(call.path("name"))
    revision = await call.gateway.cluster.put_client_key(name, bytes.fromhex(call.body.key))
    return Reply(ClientKeyPut(name, revision), revision=revision, etag=revision)


async def delete_client_key(call: Call[NoQuery, None]) -> Reply:
    """Let a client in no more; its links end within seconds."""
    name = _name(call.path("name"))
    return Reply(revision=await call.gateway.cluster.delete_client_key(name))


def _name(name: str) -> str:
    if not NAME_RE.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a key: it must match {NAME_RE.pattern}")
    return name


ROUTES: Final = (
    Route(
        "GET",
        "/cluster/keys",
        "admin",
        list_client_keys,
        "List client keys",
        query=ReadQuery,
        returns=ClientKeyPage,
    ),
    Route(
        "PUT",
        "/cluster/keys/{name}",
        "admin",
        put_client_key,
        "Put a client key",
        body=ClientKeyBody,
        example={"key": "5f" * 32},
        returns=ClientKeyPut,
        etag=True,
        errors=("conflict",),
    ),
    Route(
        "DELETE",
        "/cluster/keys/{name}",
        "admin",
        delete_client_key,
        "Delete a client key",
        status=204,
    ),
)
