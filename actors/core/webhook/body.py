"""What an event looks like to a receiver: as a CloudEvent, for Slack, or in a template's form.

A template is any JSON value. `${event.type}`, `${event.data.total}` in its texts are replaced by
what the event has there: data only, in one pass, never evaluated. A text that is nothing but one
hole becomes the value itself, whatever its type; where the event has nothing it is null, within a
text nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from actors.model.event import Event, shown_event
from actors.model.hook import Sending

__all__ = ["Written", "fill_event", "holes_problem", "write_body"]

_HOLE: Final = re.compile(r"\$\{event((?:\.[A-Za-z0-9_-]+)+)\}")
_ANY_HOLE: Final = re.compile(r"\$\{[^}]*\}?")
_FIELDS: Final = ("id", "type", "time", "subject", "data", "trace")
_SLACK_CHARS: Final = 3_000
_ENCODER: Final = msgspec.json.Encoder()


class Written(msgspec.Struct, frozen=True):
    """A body and its type."""

    content_type: str
    body: bytes


def write_body(sending: Sending, event: Event, *, source: str, is_cut: bool) -> Written:
    """Return what is sent for an event. `source` names the cluster that it happened in."""
    match sending.format:
        case "slack":
            return Written("application/json", _ENCODER.encode({"text": _slack_text(event)}))
        case "template":
            return Written("application/json", _ENCODER.encode(fill_event(sending.body, event)))
    return Written(
        "application/cloudevents+json; charset=utf-8",
        _ENCODER.encode(_cloud(event, source, is_cut)),
    )


def holes_problem(template: Any) -> str:
    """Return what is wrong with a template's holes, "" when nothing is."""
    if isinstance(template, str):
        for hole in _ANY_HOLE.finditer(template):
            named = _HOLE.fullmatch(hole.group())
            if named is None or named[1][1:].split(".")[0] not in _FIELDS:
                return f"expected ${{event.{'|'.join(_FIELDS)}}}, got {hole.group()[:60]}"
        return ""
    if isinstance(template, dict):
        inner: Any = template.values()
    else:
        inner = template if isinstance(template, list) else ()
    return next((problem for each in inner if (problem := holes_problem(each))), "")


def fill_event(template: Any, event: Event) -> Any:
    """Fill a template."""
    told = shown_event(event) | {"trace": event.trace}
    return _fill(template, told)


def _fill(template: Any, told: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: _fill(value, told) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, told) for value in template]
    if not isinstance(template, str):
        return template
    whole = _HOLE.fullmatch(template)
    if whole is not None:
        return _at(told, whole[1])
    return _HOLE.sub(lambda hole: _text(_at(told, hole[1])), template)


def _at(told: dict[str, Any], path: str) -> Any:
    value: Any = told
    for step in path[1:].split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cloud(event: Event, source: str, is_cut: bool) -> dict[str, Any]:
    """CloudEvents 1.0, structured mode: https://github.com/cloudevents/spec."""
    told = shown_event(event)
    made = {
        "specversion": "1.0",
        "id": told["id"],
        "source": source,
        "type": told["type"],
        "time": told["time"],
        "datacontenttype": "application/json",
        "data": told["data"],
    }
    if event.subject:
        made["subject"] = event.subject
    if event.trace:
        made["traceparent"] = event.trace
    return made | ({"jobddatacut": True} if is_cut else {})


def _slack_text(event: Event) -> str:
    """One line: what happened, to what, and what is said of it."""
    said = {k: v for k, v in event.data.items() if k != "cause" and v not in (None, "")}
    name = said.pop("name", "")
    about = " ".join(part for part in (f"*{_plain(name)}*" if name else "", event.subject) if part)
    rest = ", ".join(f"{_plain(key)}: {_plain(value)}" for key, value in said.items())
    text = f"`{event.type}` {about}" + (f" ({rest})" if rest else "")
    return text if len(text) <= _SLACK_CHARS else text[: _SLACK_CHARS - 1] + "…"


def _plain(value: Any) -> str:
    """Text that Slack reads as no markup."""
    text = _text(value)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
