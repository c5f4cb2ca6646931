"""The operations on triggers and hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from jobd.api.hooks import DeliveryPage, HookDetail, HookPage, HookPut, Redelivered
from jobd.api.triggers import TriggerPage, TriggerPut, TriggerView
from jobd.client.operation import Operation, nothing, operation, reads_as

__all__ = [
    "Written",
    "delete_hook",
    "delete_trigger",
    "get_hook",
    "get_trigger",
    "list_deliveries",
    "list_hooks",
    "list_triggers",
    "put_hook",
    "put_trigger",
    "redeliver",
]

Written: TypeAlias = Mapping[str, Any] | str | bytes | os.PathLike[str]


def list_triggers(cursor: str | None, limit: int) -> Operation[TriggerPage]:
    """Return a page of the triggers."""
    query = {"cursor": cursor, "limit": limit}
    return operation("list_triggers", reads_as(TriggerPage), query=query)


def get_trigger(name: str) -> Operation[TriggerView]:
    """Return a trigger."""
    return operation("get_trigger", reads_as(TriggerView), params={"name": name})


def put_trigger(name: str, trigger: Written, if_match: int | None) -> Operation[TriggerPut]:
    """Put a trigger; again is the same."""
    return operation(
        "put_trigger",
        reads_as(TriggerPut),
        params={"name": name},
        body=_body(trigger),
        headers=_condition(if_match),
        again="once",
    )


def delete_trigger(name: str, if_match: int | None) -> Operation[None]:
    """Delete a trigger."""
    headers = _condition(if_match)
    params = {"name": name}
    return operation("delete_trigger", nothing, params=params, headers=headers, again="once")


def list_hooks(cursor: str | None, limit: int) -> Operation[HookPage]:
    """Return a page of the hooks."""
    query = {"cursor": cursor, "limit": limit}
    return operation("list_hooks", reads_as(HookPage), query=query)


def get_hook(name: str) -> Operation[HookDetail]:
    """Return a hook."""
    return operation("get_hook", reads_as(HookDetail), params={"name": name})


def put_hook(name: str, hook: Written, if_match: int | None) -> Operation[HookPut]:
    """Put a hook."""
    return operation(
        "put_hook",
        reads_as(HookPut),
        params={"name": name},
        body=_body(hook),
        headers=_condition(if_match),
        again="once",
    )


def delete_hook(name: str, if_match: int | None) -> Operation[None]:
    """Delete a hook."""
    headers = _condition(if_match)
    return operation("delete_hook", nothing, params={"name": name}, headers=headers, again="once")


def list_deliveries(name: str, cursor: str | None, limit: int) -> Operation[DeliveryPage]:
    """Return a page of a hook's deliveries."""
    query = {"cursor": cursor, "limit": limit}
    params = {"name": name}
    return operation("list_deliveries", reads_as(DeliveryPage), params=params, query=query)


def redeliver(name: str, id_: str) -> Operation[Redelivered]:
    """Have a delivery sent again."""
    params = {"name": name, "delivery": id_}
    return operation("redeliver", reads_as(Redelivered), params=params, again="once")


def _body(written: Written) -> bytes:
    """Return a document as the node reads it. A path is read here."""
    if isinstance(written, os.PathLike):
        return Path(written).read_bytes()
    if isinstance(written, Mapping):
        return msgspec.json.encode(written)
    if not isinstance(written, bytes | str):
        raise TypeError(f"it is a mapping, YAML text or a path, not {type(written).__name__}")
    return written if isinstance(written, bytes) else written.encode()


def _condition(if_match: int | None) -> dict[str, str]:
    return {} if if_match is None else {"If-Match": f'"{if_match}"'}
