"""A trigger as a document of its own: `PUT /triggers/NAME`, an inbound webhook that emits events.

What starts a job is the `trigger:` of the job's spec, what starts a pipeline that of the pipeline.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actors.core.spec.document import read_document
from actors.core.spec.form import AS_WRITTEN
from actors.core.spec.kinds import Field, record, text
from actors.core.spec.problems import TooManyProblemsError, shown
from actors.core.spec.sources import EVENT, WEBHOOK
from actors.errors import TooLarge
from actors.limits import HOOK_BYTES
from actors.model.ids import NAME_RE
from actors.model.spec import JobSpec
from actors.model.target import Target
from actors.model.trigger import EventSource, WebhookSource

__all__ = ["TriggerSpec", "parse_trigger", "trigger_schema"]

_NAME: Final = text(NAME_RE.pattern, "a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters")
_EMITS: Final = text(
    r"(?!jobd:)[!-~]{1,128}", "the type of an event of your own, without the prefix jobd:"
)
_FIELDS: Final = {
    "name": Field("name", _NAME, "the trigger's name, as in its path"),
    "event": Field("events", EVENT, "events: a glob, a list of globs, or {type, filter}"),
    "webhook": Field("webhook", WEBHOOK, "requests: {path, auth, wait, filter}"),
    "emit": Field("emits", _EMITS, "the type of the event; `${headers.x}` and `${body.x}` filled"),
    "pipeline": Field("pipeline", _NAME, "the pipeline that it starts, by its name"),
}


class TriggerSpec(NamedTuple):
    """A trigger as it was asked for; `template` is the spec of the job that it starts."""

    events: EventSource | None
    webhook: WebhookSource | None
    target: Target | None
    emits: str
    template: JobSpec | None
    written: dict[str, Any]


def trigger_schema() -> dict[str, Any]:
    """Return the JSON Schema of a trigger."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "JobD trigger",
        **record(_FIELDS, dict).schema,
    }


def parse_trigger(source: bytes, *, name: str) -> TriggerSpec:
    """Read a trigger from YAML or JSON text; it is to be called `name`.

    Raises InvalidSpec with all problems, each with line and column, and TooLarge.
    """
    document = read_document(source, "", AS_WRITTEN)
    if len(source) > HOOK_BYTES:
        raise TooLarge(f"a trigger has at most {HOOK_BYTES} bytes (HOOK_BYTES)")
    problems, place, value = document.reading.problems, document.reading.place, document.value
    found: dict[str, Any] | None = None
    try:
        if type(value) is not dict:
            problems.add((), f"expected a mapping with webhook and emit, got {shown(value)}")
        else:
            found = record(_FIELDS, dict).read(value, (), problems)
            if value.get("name", name) != name:
                problems.add(("name",), f"it is put as {name}; the two must agree")
            for first, second in (("event", "webhook"), ("emit", "pipeline")):
                given = [key for key in (first, second) if value.get(key) is not None]
                if len(given) != 1:
                    problems.add((given[-1] if given else first,), f"give {first} or {second}")
            if value.get("emit") is not None and value.get("event") is not None:
                problems.add(("emit",), "an event that emits an event would never end")
    except TooManyProblemsError:
        found = None
    problems.raise_if_any(place)
    assert found is not None, "without a problem there is a trigger"
    pipeline = found.get("pipeline")
    return TriggerSpec(
        found.get("events"),
        found.get("webhook"),
        Target("pipeline", pipeline) if pipeline else None,
        found.get("emits", ""),
        None,
        value,
    )
