"""Handlers of /hooks: what is sent or started when something happens, and what became of it."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from actors.core.spec.hook import hook_schema, parse_hook
from actors.core.trigger.deliveries import webhook_id
from actors.core.view import Entry, View
from actors.errors import InvalidInput, NotFound
from actors.model import keys
from actors.model.event import parse_event_id
from actors.model.hook import Delivery, HookRecord
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.jobs import YAML
from jobd.api.query import ListQuery, NoQuery, ReadQuery
from jobd.api.route import JSON, Route
from jobd.api.stamp import Stamp, stamp, stamp_or_none
from jobd.api.triggers import SourceView, name_of, shown

__all__ = ["ROUTES", "DeliveryPage", "HookPage", "HookPut", "HookView", "Redelivered"]

EXAMPLE: Final = {
    "on": "jobd:job:failed",
    "webhook": {"url": "https://example.com/hooks", "secret": "pager"},
}
_ID: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,5}")


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    """A hook. `disabled` says why it does nothing, null while it does."""

    name: str
    event: SourceView
    url: str | None
    format: str | None
    starts: str | None
    disabled: str | None
    pending: int
    fires: int
    refused: int
    last: str | None
    last_at: Stamp | None
    created_at: Stamp
    updated_at: Stamp
    revision: int


class HookDetail(HookView, frozen=True, kw_only=True):
    """A hook by itself: also as it was written."""

    spec: dict[str, Any]


class HookPage(msgspec.Struct, frozen=True):
    """Hooks by name."""

    items: list[HookView]
    next_cursor: str | None


class HookPut(msgspec.Struct, frozen=True):
    """A hook that was put."""

    name: str
    revision: int


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way: `id` is the event's, `webhook_id` what its receiver knows it by."""

    id: str
    webhook_id: str
    event_type: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    status: int | None
    detail: str
    took_ms: int | None
    created_at: Stamp
    due_at: Stamp | None
    last_at: Stamp | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries, the oldest first."""

    items: list[DeliveryView]
    next_cursor: str | None


class Redelivered(msgspec.Struct, frozen=True):
    """A delivery that is sent again."""

    id: str


async def list_hooks(call: Call[ListQuery, None]) -> Reply:
    """List the hooks."""
    view, limit, after = call.gateway.view, call.query.limit, read_cursor(call.query)
    items: list[HookView] = []
    for key, entry in view.scan(keys.hook(""), after and keys.hook(after)):
        if len(items) == limit:
            return Reply(HookPage(items, make_cursor(items[-1].name, call.query)))
        items.append(HookView(**_fields(view, keys.last(key), entry)))
    return Reply(HookPage(items, None))


async def get_hook(call: Call[ReadQuery, None]) -> Reply:
    """Get a hook."""
    view, name = call.gateway.view, name_of(call.path("name"))
    entry = _hook(view, name)
    detail = HookDetail(**_fields(view, name, entry), spec=entry.noun.spec)
    return Reply(detail, etag=entry.revision)


async def put_hook(call: Call[NoQuery, bytes]) -> Reply:
    """Put a hook, from YAML or JSON. `If-Match`, `If-None-Match: *` make it conditional.

    It begins with what happens next; put again, it goes on from where it was, and one that was
    disabled begins anew.
    """
    name = name_of(call.path("name"))
    revision = await call.gateway.hooks.put_hook(
        parse_hook(call.body, now_ms=call.clock(), name=name),
        principal=call.principal.token_id,
        if_match=call.if_match,
        if_none_match=call.if_none_match,
    )
    return Reply(HookPut(name, revision), revision=revision, etag=revision)


async def delete_hook(call: Call[NoQuery, None]) -> Reply:
    """Delete a hook with its deliveries; `If-Match` makes it conditional."""
    name = name_of(call.path("name"))
    return Reply(revision=await call.gateway.hooks.delete_hook(name, if_match=call.if_match))


async def list_deliveries(call: Call[ListQuery, None]) -> Reply:
    """List what a hook has sent and is to send; of what has ended, the last hundred."""
    view, name = call.gateway.view, name_of(call.path("name"))
    _hook(view, name)
    limit, after = call.query.limit, read_cursor(call.query)
    items: list[DeliveryView] = []
    last = ""
    for key, entry in view.scan(keys.deliveries_of(name), after):
        if len(items) == limit:
            return Reply(DeliveryPage(items, make_cursor(last, call.query)))
        items.append(_delivery(key, entry.noun))
        last = key
    return Reply(DeliveryPage(items, None))


async def redeliver(call: Call[NoQuery, None]) -> Reply:
    """Send a delivery again, under the id that it had."""
    name, id_ = name_of(call.path("name")), call.path("delivery")
    if not _ID.fullmatch(id_):
        raise InvalidInput(f"{id_!r} is no delivery's id; they look like 42-0")
    revision = await call.gateway.hooks.redeliver(name, *parse_event_id(id_))
    return Reply(Redelivered(id_), revision=revision)


def _hook(view: View, name: str) -> Entry:
    entry = view.get(keys.hook(name))
    if entry is None:
        raise NotFound(f"there is no hook {name}", remedy="`jobctl hook list` shows them.")
    return entry


def _fields(view: View, name: str, entry: Entry) -> dict[str, Any]:
    record: HookRecord = entry.noun
    sends, target = record.sends, record.target
    deliveries = view.scan(keys.deliveries_of(name))
    return {
        "name": name,
        "event": shown(record.events),
        "url": sends.url if sends is not None else None,
        "format": sends.format if sends is not None else None,
        "starts": f"{target.kind}/{target.name}" if target is not None else None,
        "disabled": record.disabled or None,
        "pending": len([key for key, each in deliveries if each.noun.state == "pending"]),
        "fires": record.fires,
        "refused": record.refused,
        "last": record.last or None,
        "last_at": stamp_or_none(record.last_ms),
        "created_at": stamp(record.created_ms),
        "updated_at": stamp(record.updated_ms),
        "revision": entry.revision,
    }


def _delivery(key: str, delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.event.id,
        webhook_id=webhook_id(key),
        event_type=delivery.event.type,
        state=delivery.state,
        attempts=delivery.attempts,
        status=delivery.status or None,
        detail=delivery.detail,
        took_ms=delivery.took_ms if delivery.attempts else None,
        created_at=stamp(delivery.created_ms),
        due_at=stamp_or_none(delivery.due_ms) if delivery.state == "pending" else None,
        last_at=stamp_or_none(delivery.last_ms),
    )


ROUTES: Final = (
    Route("GET", "/hooks", "read", list_hooks, "List hooks", query=ListQuery, returns=HookPage),
    Route(
        "GET",
        "/hooks/{name}",
        "read",
        get_hook,
        "Get a hook",
        query=ReadQuery,
        returns=HookDetail,
        etag=True,
    ),
    Route(
        "PUT",
        "/hooks/{name}",
        "write",
        put_hook,
        "Put a hook",
        body=bytes,
        accepts=(JSON, *YAML),
        content=hook_schema,
        example=EXAMPLE,
        returns=HookPut,
        etag=True,
        conditional=True,
        errors=("conflict", "invalid_spec"),
    ),
    Route(
        "DELETE",
        "/hooks/{name}",
        "write",
        delete_hook,
        "Delete a hook",
        status=204,
        conditional=True,
    ),
    Route(
        "GET",
        "/hooks/{name}/deliveries",
        "read",
        list_deliveries,
        "List a hook's deliveries",
        query=ListQuery,
        returns=DeliveryPage,
    ),
    Route(
        "POST",
        "/hooks/{name}/deliveries/{delivery}/redeliver",
        "write",
        redeliver,
        "Send a delivery again",
        returns=Redelivered,
        status=202,
        errors=("conflict",),
    ),
)
