"""From what a user wrote to a hook: which events, and the webhook, job or pipeline that follows."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from actors.core.spec.document import read_document
from actors.core.spec.form import AS_WRITTEN, SecretName
from actors.core.spec.job import job_from_mapping
from actors.core.spec.kinds import JSON, Field, Kind, choice, either, map_of, record, text
from actors.core.spec.problems import Path, Place, Problems, TooManyProblemsError, shown
from actors.core.spec.sources import EVENT, FILTER, SECRETS, bounded_duration
from actors.core.url_policy import parse_url
from actors.core.webhook.body import holes_problem
from actors.errors import InvalidInput, InvalidSpec, TooLarge
from actors.limits import HOOK_BYTES, HOOK_TIMEOUT_MS
from actors.model.hook import Sending
from actors.model.ids import NAME_RE
from actors.model.spec import JobSpec
from actors.model.trigger import EventSource

__all__ = ["HookSpec", "hook_schema", "parse_hook"]

_NAME: Final = text(NAME_RE.pattern, "a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters")
_HEADER: Final = text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", "the name of a header")
_HEADER_VALUE: Final = text(r"[ -~]{0,1024}", "visible ASCII text")
_OWN_HEADERS: Final = re.compile(
    r"webhook-.*|host|content-.*|connection|transfer-encoding|te|trailer|upgrade|expect|user-agent"
    r"|keep-alive|proxy-.*|traceparent",
    re.IGNORECASE,
)
_HEADERS_MOST: Final = 16


def _read_url(value: Any, path: Path, problems: Problems) -> str | None:
    try:
        if type(value) is not str:
            raise InvalidInput(f"expected a URL, got {shown(value)}")
        return parse_url(value).text
    except InvalidInput as error:
        problems.add(path, error.message)
        return None


_SECRET: Final = record(
    {"secret": Field("name", _NAME, "the name of a secret")}, SecretName, ("secret",)
)
_HEADERS: Final = map_of(
    _HEADER, either("text or {secret: NAME}", {str: _HEADER_VALUE, dict: _SECRET})
)
_WEBHOOK_FIELDS: Final = {
    "url": Field("url", Kind({"type": "string", "format": "uri"}, _read_url), "where to"),
    "format": Field(
        "format",
        choice("cloudevents", "slack", "template"),
        "what the body looks like",
        "template with a body, else cloudevents",
    ),
    "body": Field("body", JSON, "any JSON; `${event.data.x}` in its texts is replaced"),
    "secret": Field("secrets", SECRETS, "a whsec_ secret that signs, or two that both do"),
    "headers": Field("headers", _HEADERS, "further headers: text, or {secret: NAME}", "{}"),
    "timeout": Field("timeout_ms", bounded_duration(HOOK_TIMEOUT_MS), "of an attempt", "10s"),
}
_TYPES: Final = text("[!-~]{1,128}", "an event's type, or a glob such as order:*")
_FIELDS: Final = {
    "name": Field("name", _NAME, "the hook's name, as in its path"),
    "on": Field("on", EVENT, "events: a glob, a list of globs, or {type, filter}"),
    "filter": Field("where", FILTER, "what stands at these paths of its data", "{}"),
    "webhook": Field("webhook", record(_WEBHOOK_FIELDS, dict, ("url",)), "a webhook to send"),
    "job": Field("job", map_of(text(), JSON), "a job to start: its spec, without a trigger"),
    "pipeline": Field("pipeline", _NAME, "a pipeline to start, by its name"),
}
_ACTIONS: Final = ("webhook", "job", "pipeline")


class HookSpec(NamedTuple):
    """A hook as it was asked for. `written` is what its reader is shown."""

    name: str
    events: EventSource
    sends: Sending | None
    job: JobSpec | None
    pipeline: str
    written: dict[str, Any]


def hook_schema() -> dict[str, Any]:
    """Return the JSON Schema of a hook."""
    kind = record(_FIELDS, dict, ("name", "on"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "JobD hook",
        **kind.schema,
        "required": ["on"],  # the name is in the path
    }


def parse_hook(source: bytes, *, now_ms: int, name: str = "") -> HookSpec:
    """Read a hook from YAML or JSON text; `name` is what it must be called, if given.

    Raises InvalidSpec with all problems, each with line and column, and TooLarge.
    """
    document = read_document(source, "", AS_WRITTEN)
    if len(source) > HOOK_BYTES:
        raise TooLarge(f"a hook has at most {HOOK_BYTES} bytes (HOOK_BYTES)")
    problems, place = document.reading.problems, document.reading.place
    hook = None
    try:
        if type(document.value) is dict:
            hook = _normal({"name": name, **document.value}, problems, place, now_ms)
            if hook is not None and name and hook.name != name:
                problems.add(("name",), f"it is put as {name}; the two must agree")
        else:
            problems.add((), f"expected a mapping with on, got {shown(document.value)}")
    except TooManyProblemsError:
        hook = None
    problems.raise_if_any(place)
    assert hook is not None, "without a problem there is a hook"
    return hook._replace(written=document.value)


def _normal(
    value: dict[str, Any], problems: Problems, place: Place, now_ms: int
) -> HookSpec | None:
    found = record(_FIELDS, dict, ("name", "on")).read(value, (), problems)
    given = [key for key in _ACTIONS if value.get(key) is not None]
    if len(given) != 1:
        problems.add((given[1] if given else "webhook",), f"give one of {', '.join(_ACTIONS)}")
    if found is None or problems:
        return None
    events: EventSource = found["on"]
    if "where" in found:
        events = msgspec.structs.replace(events, where=(*events.where, *found["where"]))
    sends = _sending(found["webhook"], problems) if "webhook" in found else None
    job = _job(found["job"], problems, now_ms) if "job" in found else None
    if problems:
        return None
    return HookSpec(found["name"], events, sends, job, found.get("pipeline", ""), {})


def _sending(webhook: dict[str, Any], problems: Problems) -> Sending | None:
    path: Path = ("webhook",)
    has_body = "body" in webhook
    form = webhook.get("format", "template" if has_body else "cloudevents")
    if has_body != (form == "template"):
        problems.add((*path, "body"), "a body goes with the format template, and with no other")
    wrong = holes_problem(webhook.get("body"))
    if wrong:
        problems.add((*path, "body"), wrong)
    headers = webhook.pop("headers", {})
    for name in headers:
        if _OWN_HEADERS.fullmatch(name):
            problems.add((*path, "headers", name), f"{name} is set by the node itself")
    if len(headers) > _HEADERS_MOST:
        problems.add((*path, "headers"), f"more than {_HEADERS_MOST} headers")
    return Sending(
        **{**webhook, "format": form},
        headers={k: v for k, v in headers.items() if type(v) is str},
        secret_headers={k: v.name for k, v in headers.items() if type(v) is SecretName},
    )


def _job(mapping: dict[str, Any], problems: Problems, now_ms: int) -> JobSpec | None:
    """Read the spec of the job that a hook starts."""
    if mapping.get("trigger") is not None:
        problems.add(("job", "trigger"), "what starts it is the hook")
        return None
    try:
        return job_from_mapping(mapping, now_ms=now_ms)
    except InvalidSpec as error:
        for problem in error.problems:
            problems.add(("job", problem.path), problem.message)
        return None
