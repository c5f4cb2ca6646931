"""What a proven webhook starts or emits, and what it is given of the request.

Rules of this file:
R1  exists(trigger) at the revision that the request was proven by: a secret that was taken away in
    between is not good for one more request.
R2  The record is not written: requests do not wait for one another.
R3  What is given on has bounds, and no header that proves anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from actors import limits
from actors.core.start import Refused, start
from actors.core.store.txn import Txn, at
from actors.core.trigger.firing import beside
from actors.core.view import View
from actors.errors import InvalidInput
from actors.model import keys
from actors.model.cause import Cause
from actors.model.event import EventDraft
from actors.model.trigger import TriggerRecord

__all__ = ["EVENT_TYPE", "Payload", "payload_of", "receive"]

EVENT_TYPE: Final = re.compile("(?!jobd:)[!-~]{1,128}")
_HOLE: Final = re.compile(r"\$\{(headers|body)((?:\.[A-Za-z0-9_-]+)+)\}")
_SECRET_WORDS: Final = ("signature", "authorization", "cookie", "token", "secret")
_GIVEN: Final = ("content-type", "user-agent")
_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS: Final = 1_000


class Payload(NamedTuple):
    """What a request says: the headers that are given on, in lower case, and its body read."""

    headers: dict[str, str]
    body: Any

    def as_data(self) -> dict[str, Any]:
        """Return it as one value, for filters and inputs."""
        return {"headers": self.headers, "body": self.body}


def payload_of(headers: Mapping[str, str], body: bytes) -> Payload:
    """Read a request that is proven. Raises InvalidInput."""
    named = {name.lower(): value for name, value in headers.items()}
    type_ = named.get("content-type", "").partition(";")[0].strip().lower()
    return Payload(_given(named), _read(type_, body))


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    room = limits.WEBHOOK_HEADER_BYTES
    for low, value in sorted(headers.items()):
        wanted = low in _GIVEN or low.startswith(("x-", "webhook-"))
        if not wanted or any(word in low for word in _SECRET_WORDS):
            continue
        room -= len(low) + len(value)
        if room < 0:
            break
        given[low] = value
    return given


def _read(type_: str, body: bytes) -> Any:
    if not body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("the body is no UTF-8") from None
    if type_ == _FORM:
        try:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS))
        except ValueError:
            raise InvalidInput(f"the form has more than {_FIELDS} fields") from None
    if not type_.endswith("json") and not text.lstrip().startswith(("{", "[")):
        return text
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        if type_.endswith("json"):
            raise InvalidInput("the body is no JSON") from None
        return text
    if _is_deep(value):
        raise InvalidInput(f"the body is nested deeper than {limits.EVENT_DEPTH} (EVENT_DEPTH)")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(limits.EVENT_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def receive(
    view: View,
    name: str,
    payload: Payload,
    *,
    delivery: str,
    new_id: str,
    now_ms: int,
    trace: str,
) -> Txn | Refused:
    """Return the transaction that starts or emits what a trigger does for a request.

    `delivery` is how its sender, or the node, tells it from others.
    """
    entry = view.get(keys.trigger(name))
    assert entry is not None and entry.noun.webhook is not None, "the caller has just seen it"
    record: TriggerRecord = entry.noun
    path = entry.noun.webhook.path
    cause, check = Cause("webhook", f"{path}/{delivery}"), at(keys.trigger(name), entry.revision)
    if record.target is None:
        made = _emitted(record, path, payload, cause, trace)
        return made if isinstance(made, Refused) else Txn((check,), (), (made,), now_ms=now_ms)
    told = {"path": path, "id": delivery, **payload.as_data()}
    started = start(
        view,
        record.target,
        new_id=new_id,
        cause=cause,
        given_input=beside(view, record, "webhook", told),
        now_ms=now_ms,
        principal=record.principal,
        trace=trace,
    )
    if isinstance(started, Refused):
        return started
    return Txn((check, *started.checks), started.ops, started.events, now_ms=now_ms)


def _emitted(
    record: TriggerRecord, path: str, payload: Payload, cause: Cause, trace: str
) -> EventDraft | Refused:
    type_ = _HOLE.sub(lambda hole: _text(payload, hole), record.emits)
    if not EVENT_TYPE.fullmatch(type_):
        return Refused("input", f"{type_[:64]!r} is no type of an event")
    data = payload.body if isinstance(payload.body, dict) else {"body": payload.body}
    return EventDraft(type_, f"webhook/{path}", data, trace, cause)


def _text(payload: Payload, hole: re.Match[str]) -> str:
    value: Any = payload.as_data()[hole[1]]
    for step in hole[2][1:].split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
