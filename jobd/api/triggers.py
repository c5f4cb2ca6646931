"""Handlers of /triggers: what waits for events and for webhooks, by name."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from actors.core.spec.trigger_document import parse_trigger, trigger_schema
from actors.core.view import Entry
from actors.errors import InvalidInput, NotFound
from actors.model import keys
from actors.model.event import event_id
from actors.model.ids import NAME_RE
from actors.model.trigger import EventSource, TriggerRecord
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_cursor
from jobd.api.jobs import YAML
from jobd.api.query import ListQuery, NoQuery, ReadQuery
from jobd.api.route import JSON, Route
from jobd.api.stamp import Stamp, stamp, stamp_or_none

__all__ = ["ROUTES", "SourceView", "TriggerPage", "TriggerPut", "TriggerView", "name_of", "shown"]

EXAMPLE: Final = {
    "webhook": {"path": "github", "auth": {"scheme": "github", "secret": "github-webhook"}},
    "emit": "github:${headers.x-github-event}",
}


class SourceView(msgspec.Struct, frozen=True):
    """Which events: types (globs, any of which may match), and what is where in their data."""

    types: list[str]
    filter: dict[str, Any]


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken at POST /webhooks/{path}; secrets by their names."""

    path: str
    scheme: str
    secrets: list[str]
    wait_ms: int
    filter: dict[str, Any]


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger. `after` is the event up to which an event trigger has looked, as last recorded."""

    name: str
    kind: Literal["event", "webhook"]
    event: SourceView | None
    webhook: WebhookView | None
    starts: str | None
    emits: str | None
    fires: int
    refused: int
    last: str | None
    last_at: Stamp | None
    after: str | None
    created_at: Stamp
    updated_at: Stamp
    revision: int


class TriggerPage(msgspec.Struct, frozen=True):
    """Triggers by name."""

    items: list[TriggerView]
    next_cursor: str | None


class TriggerPut(msgspec.Struct, frozen=True):
    """A trigger that was put."""

    name: str
    revision: int


async def list_triggers(call: Call[ListQuery, None]) -> Reply:
    """List the triggers."""
    limit, after = call.query.limit, read_cursor(call.query)
    items: list[TriggerView] = []
    for key, entry in call.gateway.view.scan(keys.trigger(""), after and keys.trigger(after)):
        if len(items) == limit:
            return Reply(TriggerPage(items, make_cursor(items[-1].name, call.query)))
        items.append(_view(keys.last(key), entry))
    return Reply(TriggerPage(items, None))


async def get_trigger(call: Call[ReadQuery, None]) -> Reply:
    """Get a trigger."""
    name = name_of(call.path("name"))
    entry = call.gateway.view.get(keys.trigger(name))
    if entry is None:
        raise NotFound(f"there is no trigger {name}", remedy="`jobctl trigger list` shows them.")
    return Reply(_view(name, entry), etag=entry.revision)


async def put_trigger(call: Call[NoQuery, bytes]) -> Reply:
    """Put a trigger: a webhook that emits events, or what starts a pipeline.

    What starts a job is the `trigger:` of its spec. `If-Match`, `If-None-Match: *` make it
    conditional.
    """
    name = name_of(call.path("name"))
    revision = await call.gateway.hooks.put_trigger(
        name,
        parse_trigger(call.body, name=name),
        principal=call.principal.token_id,
        if_match=call.if_match,
        if_none_match=call.if_none_match,
    )
    return Reply(TriggerPut(name, revision), revision=revision, etag=revision)


async def delete_trigger(call: Call[NoQuery, None]) -> Reply:
    """Delete a trigger, with the template of what it starts; `If-Match` makes it conditional."""
    name = name_of(call.path("name"))
    return Reply(revision=await call.gateway.hooks.delete_trigger(name, if_match=call.if_match))


def name_of(name: str) -> str:
    """Return a name of the path. Raises InvalidInput."""
    if not NAME_RE.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name: it must match {NAME_RE.pattern}")
    return name


def shown(source: EventSource) -> SourceView:
    """Return how a source of events looks outside."""
    return SourceView(list(source.types), dict(source.where))


def _view(name: str, entry: Entry) -> TriggerView:
    record: TriggerRecord = entry.noun
    webhook, target = record.webhook, record.target
    return TriggerView(
        name=name,
        kind="event" if record.events is not None else "webhook",
        event=shown(record.events) if record.events is not None else None,
        webhook=(
            WebhookView(
                path=webhook.path,
                scheme=webhook.scheme,
                secrets=list(webhook.secrets),
                wait_ms=webhook.wait_ms,
                filter=dict(webhook.where),
            )
            if webhook is not None
            else None
        ),
        starts=f"{target.kind}/{target.name}" if target is not None else None,
        emits=record.emits or None,
        fires=record.fires,
        refused=record.refused,
        last=record.last or None,
        last_at=stamp_or_none(record.last_ms),
        after=event_id(record.after[0], 0) if record.events is not None else None,
        created_at=stamp(record.created_ms),
        updated_at=stamp(record.updated_ms),
        revision=entry.revision,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/triggers",
        "read",
        list_triggers,
        "List triggers",
        query=ListQuery,
        returns=TriggerPage,
    ),
    Route(
        "GET",
        "/triggers/{name}",
        "read",
        get_trigger,
        "Get a trigger",
        query=ReadQuery,
        returns=TriggerView,
        etag=True,
    ),
    Route(
        "PUT",
        "/triggers/{name}",
        "write",
        put_trigger,
        "Put a trigger",
        body=bytes,
        accepts=(JSON, *YAML),
        content=trigger_schema,
        example=EXAMPLE,
        returns=TriggerPut,
        etag=True,
        conditional=True,
        errors=("conflict", "invalid_spec"),
    ),
    Route(
        "DELETE",
        "/triggers/{name}",
        "write",
        delete_trigger,
        "Delete a trigger",
        status=204,
        conditional=True,
    ),
)
