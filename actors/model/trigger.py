"""Triggers: what waits for an event or a webhook, and what it starts then.

`trigger/<name>` is the record, and for an event trigger it holds the place up to which events were
looked at. `webhook/<path>` names the trigger that a path belongs to: one path, one trigger.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model.event import Place, Where
from actors.model.target import Target

__all__ = ["EventSource", "TriggerRecord", "WebhookSource"]


class EventSource(msgspec.Struct, frozen=True, array_like=True):
    """Events of one of these types (globs) whose data is `where`."""

    types: tuple[str, ...]
    where: Where = ()


class WebhookSource(msgspec.Struct, frozen=True, array_like=True):
    """Requests to POST /webhooks/<path>; `secrets` are names, one of which must have signed."""

    path: str
    scheme: str
    secrets: tuple[str, ...] = ()
    wait_ms: int = 0  # 0: answered as soon as it is started
    where: Where = ()


class TriggerRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """trigger/<name>: one source; a target that it starts, or the type of the event it emits."""

    principal: str  # id of the token that defined it
    created_ms: int
    updated_ms: int
    target: Target | None = None
    emits: str = ""
    events: EventSource | None = None
    webhook: WebhookSource | None = None
    after: Place = (0, 0)  # all events up to here were looked at
    fires: int = 0
    refused: int = 0  # events and requests that could not start it
    last: str = ""  # id of what it started last
    last_ms: int = 0
    spec: dict[str, Any] = {}  # as it was written
