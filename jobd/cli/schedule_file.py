"""Schedules that are kept as files: what `apply` puts and `diff` compares with."""

from __future__ import annotations

from typing import Any

from jobd.cli.client import Client, Refused
from jobd.cli.failure import NOT_FOUND
from jobd.cli.schedule import schedule_path

__all__ = ["put_schedule", "recurs", "schedule_spec"]


def recurs(values: dict[str, Any]) -> bool:
    """Say whether a valid spec defines a schedule instead of a job."""
    trigger = values.get("trigger")
    return isinstance(trigger, dict) and any(
        trigger.get(key) is not None for key in ("cron", "every", "every_secs", "every_ms")
    )


def put_schedule(client: Client, name: str, text: bytes) -> dict[str, Any]:
    """Put a schedule; say what that came to."""
    before = _known(client, name)
    headers = {"Content-Type": "application/yaml"}
    after = client.request("PUT", schedule_path(name), body=text, headers=headers).json
    same = before is not None and _defined(before) == _defined(after)
    result = "created" if before is None else "unchanged" if same else "changed"
    return {"result": result, "name": name, "id": f"schedule/{name}"}


def schedule_spec(client: Client, wanted: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Return what the node has of a schedule, by name and in the form of a plan's spec."""
    known = _known(client, wanted["name"])
    if known is None:
        return f"no schedule {wanted['name']}", None
    recurrence = dict(known["recurrence"])
    if "anchor_ms" not in wanted["trigger"]["recurrence"]:
        recurrence.pop("anchor_ms", None)  # the node's own, of when the interval began
    spec = dict(known["spec"])
    ordered = {key: spec.pop(key) for key in wanted if key in spec}
    return f"schedule/{wanted['name']}", ordered | spec | {"trigger": {"recurrence": recurrence}}


def _known(client: Client, name: str) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = client.get(schedule_path(name))
    except Refused as e:
        if e.exit_code == NOT_FOUND:
            return None
        raise
    return known


def _defined(detail: dict[str, Any]) -> tuple[Any, ...]:
    return detail["spec"], detail["recurrence"], detail["state"]
