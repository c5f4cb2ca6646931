"""Handlers of /kv: users' own values, with their revision as the ETag."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from actors import limits
from actors.errors import InvalidInput, NotFound, TooLarge
from actors.model import keys
from actors.model.ids import NAME_RE
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.query import ListQuery, NoQuery, ReadQuery
from jobd.api.route import JSON, Route

__all__ = ["ROUTES"]

BYTES: Final = "application/octet-stream"
KEY_RE: Final = re.compile(r"[!-~]{1,256}")
VALUE_BYTES: Final = limits.VALUE_BYTES - 16  # the store's own head of a value comes on top


class KvListQuery(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys that begin with `prefix`."""

    prefix: str = ""


class KvItem(msgspec.Struct, frozen=True):
    """A key of a namespace."""

    key: str
    revision: int
    size_bytes: int


class KvPage(msgspec.Struct, frozen=True):
    """Keys in their order."""

    items: list[KvItem]
    next_cursor: str | None


async def get_value(call: Call[ReadQuery, None]) -> Reply:
    """Return a value's bytes."""
    namespace, key = _place(call.path("namespace"), call.path("key"))
    entry = call.gateway.view.get(keys.kv(namespace, key))
    if entry is None:
        raise NotFound(f"no key {key!r} in {namespace}")
    return Reply(entry.noun, etag=entry.revision)


async def put_value(call: Call[NoQuery, bytes]) -> Reply:
    """Put a value; `If-Match` and `If-None-Match: *` make it conditional."""
    namespace, key = _place(call.path("namespace"), call.path("key"))
    if len(call.body) > VALUE_BYTES:
        raise TooLarge(f"a value has at most {VALUE_BYTES} bytes (VALUE_BYTES)")
    revision = await call.gateway.put_kv(
        namespace, key, call.body, if_match=call.if_match, if_none_match=call.if_none_match
    )
    return Reply(KvItem(key, revision, len(call.body)), revision=revision, etag=revision)


async def delete_value(call: Call[NoQuery, None]) -> Reply:
    """Delete a value; `If-Match` makes it conditional."""
    namespace, key = _place(call.path("namespace"), call.path("key"))
    revision = await call.gateway.delete_kv(namespace, key, if_match=call.if_match)
    return Reply(revision=revision)


async def list_values(call: Call[KvListQuery, None]) -> Reply:
    """List the keys of a namespace."""
    namespace, _ = _place(call.path("namespace"), "-")
    limit, after = call.query.limit, read_cursor(call.query)
    root = keys.kv(namespace, "")
    items: list[KvItem] = []
    for key, entry in call.gateway.view.scan(root + call.query.prefix, after and root + after):
        if len(items) == limit:
            return Reply(KvPage(items, make_cursor(items[-1].key, call.query)))
        items.append(KvItem(key.removeprefix(root), entry.revision, len(entry.noun)))
    return Reply(KvPage(items, None))


def _place(namespace: str, key: str) -> tuple[str, str]:
    if not NAME_RE.fullmatch(namespace):
        raise InvalidInput(f"{namespace!r} is no namespace: it must match {NAME_RE.pattern}")
    if not KEY_RE.fullmatch(key):
        raise InvalidInput("a key has 1 to 256 visible ASCII characters")
    return namespace, key


ROUTES: Final = (
    Route(
        "GET",
        "/kv/{namespace}",
        "read",
        list_values,
        "List the keys of a namespace",
        query=KvListQuery,
        returns=KvPage,
    ),
    Route(
        "GET",
        "/kv/{namespace}/{key:.+}",
        "read",
        get_value,
        "Get a value",
        query=ReadQuery,
        returns=bytes,
        produces=BYTES,
        etag=True,
    ),
    Route(
        "PUT",
        "/kv/{namespace}/{key:.+}",
        "write",
        put_value,
        "Put a value",
        body=bytes,
        accepts=(BYTES, JSON),
        returns=KvItem,
        etag=True,
        conditional=True,
    ),
    Route(
        "DELETE",
        "/kv/{namespace}/{key:.+}",
        "write",
        delete_value,
        "Delete a value",
        status=204,
        conditional=True,
    ),
)
