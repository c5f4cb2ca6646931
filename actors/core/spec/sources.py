"""What a trigger waits for, as it is written: `event` and `webhook`, and filters of data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from actors.core.spec.kinds import (
    BOOLEAN,
    Field,
    Kind,
    choice,
    either,
    integer,
    list_of,
    map_of,
    number,
    record,
    text,
)
from actors.core.spec.problems import Path, Problems
from actors.core.spec.quantity import DURATION_PATTERN, duration_ms
from actors.core.webhook.inbound import SCHEMES
from actors.limits import EVENT_FILTERS, WEBHOOK_WAIT_MS
from actors.model.event import Where
from actors.model.ids import NAME_RE
from actors.model.trigger import EventSource, WebhookSource

__all__ = ["EVENT", "FILTER", "SECRETS", "WEBHOOK", "bounded_duration", "where_of"]

_NAME: Final = text(NAME_RE.pattern, "a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters")
_GLOB: Final = text("[!-~]{1,128}", "an event's type, or a glob such as order:*")
_PATH: Final = text(r"(\$\.)?[^.]+(\.[^.]+)*", "a path such as order.country", most=256)
_WHOLE: Final = integer(-(2**53), 2**53)
_SCALARS: Final[Mapping[type, Kind]] = {
    str: text(most=512),
    bool: BOOLEAN,
    int: _WHOLE,
    float: number(-1e300, 1e300),
}
_SCALAR: Final = either("text, a number or a boolean", _SCALARS)
_WANTED: Final = either(
    "a value, or a list of values of which it is one",
    {**_SCALARS, list: list_of(_SCALAR, least=1, most=EVENT_FILTERS)},
)


def where_of(wanted: Mapping[str, Any]) -> Where:
    """Return a filter's stored form."""
    return tuple(wanted.items())


def _filter() -> Kind:
    kind = map_of(_PATH, _WANTED)

    def read(value: Any, path: Path, problems: Problems) -> Where | None:
        found = kind.read(value, path, problems)
        if found is not None and len(found) > EVENT_FILTERS:
            problems.add(path, f"more than {EVENT_FILTERS} paths (EVENT_FILTERS)")
            return None
        return None if found is None else where_of(found)

    return Kind({**kind.schema, "maxProperties": EVENT_FILTERS}, read)


FILTER: Final = _filter()
_TYPES: Final = list_of(_GLOB, least=1, most=EVENT_FILTERS)


def _one_glob(value: Any, path: Path, problems: Problems) -> tuple[str, ...] | None:
    glob = _GLOB.read(value, path, problems)
    return None if glob is None else (glob,)


_TYPE: Final = either(
    "a glob or a list of globs", {str: Kind(_GLOB.schema, _one_glob), list: _TYPES}
)
_EVENT_FIELDS: Final = {
    "type": Field("types", _TYPE, "types of events: a glob, or a list of them"),
    "filter": Field("where", FILTER, "what stands at these paths of its data", "{}"),
}


def _event() -> Kind:
    fields = record(_EVENT_FIELDS, EventSource, ("type",))

    def short(value: Any, path: Path, problems: Problems) -> EventSource | None:
        types = _TYPE.read(value, path, problems)
        return None if types is None else EventSource(types)

    return either(
        "a glob, a list of globs, or {type, filter}",
        {
            str: Kind(_GLOB.schema, short),
            list: Kind(_TYPES.schema, short),
            dict: fields,
        },
    )


EVENT: Final = _event()


def bounded_duration(most_ms: int) -> Kind:
    """A duration as text, at most `most_ms`."""

    def read(value: Any, path: Path, problems: Problems) -> int | None:
        result = duration_ms(value) if type(value) is str else None
        if result is None:
            problems.add(path, f"expected a duration such as 10s, got {json.dumps(value)[:60]}")
        elif not 1 <= result <= most_ms:
            problems.add(path, f"expected from 1 ms to {most_ms} ms, got {result} ms")
            result = None
        return result

    return Kind({"title": "duration", "type": "string", "pattern": DURATION_PATTERN}, read)


def _one_name(value: Any, path: Path, problems: Problems) -> tuple[str, ...] | None:
    name = _NAME.read(value, path, problems)
    return None if name is None else (name,)


SECRETS: Final = either(
    "the name of a secret, or a list of two",
    {str: Kind(_NAME.schema, _one_name), list: list_of(_NAME, least=1, most=2)},
)
_AUTH_FIELDS: Final = {
    "scheme": Field("scheme", choice(*SCHEMES), "how senders prove their requests"),
    "secret": Field("secrets", SECRETS, "the secret by its name; two while one is replaced"),
}


def _auth() -> Kind:
    kind = record(_AUTH_FIELDS, dict, ("scheme",))
    return kind._replace(schema={"title": "{scheme, secret}", **kind.schema})


_WEBHOOK_FIELDS: Final = {
    "path": Field("path", _NAME, "the last part of POST /api/v1/webhooks/PATH"),
    "auth": Field("auth", _auth(), "who may send, by which scheme and secret"),
    "wait": Field(
        "wait_ms", bounded_duration(WEBHOOK_WAIT_MS), "answer when it has ended, at most so late"
    ),
    "filter": Field("where", FILTER, "what stands at paths of {headers, body}", "{}"),
}


def _webhook() -> Kind:
    fields = record(_WEBHOOK_FIELDS, dict, ("path", "auth"))

    def read(value: Any, path: Path, problems: Problems) -> WebhookSource | None:
        found = fields.read(value, path, problems)
        if found is None:
            return None
        auth = found.pop("auth")
        scheme, secrets = auth["scheme"], auth.get("secrets", ())
        if scheme == "none" and secrets:
            problems.add((*path, "auth", "secret"), "the scheme none takes no secret")
        elif scheme != "none" and not secrets:
            problems.add((*path, "auth", "secret"), f"secret is missing; {scheme} needs one")
        elif None not in secrets:
            return WebhookSource(scheme=scheme, secrets=secrets, **found)
        return None

    return Kind(fields.schema, read)


WEBHOOK: Final = _webhook()
