"""Hooks: what is sent or started when something happens, and the ledger of what was sent."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from actors.model.event import Event, Place
from actors.model.target import Target
from actors.model.trigger import EventSource

__all__ = ["BodyFormat", "Delivery", "DeliveryState", "HookRecord", "Sending"]

BodyFormat = Literal["cloudevents", "slack", "template"]
DeliveryState = Literal["pending", "delivered", "failed"]


class Sending(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A webhook that goes out; secrets by their names."""

    url: str
    format: BodyFormat = "cloudevents"
    body: Any = None  # of a template
    secrets: tuple[str, ...] = ()  # each signs
    headers: dict[str, str] = {}
    secret_headers: dict[str, str] = {}  # header -> the name of a secret
    timeout_ms: int = 10_000


class HookRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """hook/<name>: which events, and a webhook to send or a target to start."""

    principal: str  # id of the token that put it
    created_ms: int
    updated_ms: int
    events: EventSource
    sends: Sending | None = None
    target: Target | None = None
    after: Place = (0, 0)  # all events up to here were looked at
    disabled: str = ""  # why it does nothing
    fires: int = 0
    refused: int = 0
    last: str = ""  # id of what it made last: a delivery, a job or a run
    last_ms: int = 0
    spec: dict[str, Any] = {}  # as it was written


class Delivery(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """delivery/<hook>/<revision>-<k>: one event on its way to one receiver."""

    event: Event
    state: DeliveryState
    created_ms: int
    due_ms: int  # while pending: when it is sent next
    attempts: int = 0
    tries: int = 0  # of these, since it was last asked for: what the schedule counts
    status: int = 0  # of the last answer; 0: there was none
    detail: str = ""  # what went wrong last
    last_ms: int = 0  # of the last attempt
    took_ms: int = 0
    is_cut: bool = False  # the event's data was too large to be kept
