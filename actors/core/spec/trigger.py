"""`trigger`: when a job is due, or what starts a job of its spec again and again."""

from __future__ import annotations

from typing import Any, Final

from actors.core.spec.kinds import MOMENT, Field, Kind, durations, record
from actors.core.spec.problems import Path, Problems
from actors.core.spec.schedule import SCHEDULE, recurrence_of
from actors.core.spec.sources import EVENT, WEBHOOK
from actors.model.spec import Trigger

__all__ = ["TRIGGER"]

_ONCE: Final = {
    "at": Field("at_ms", MOMENT, "due at this moment (RFC 3339, with its zone)"),
    **durations(
        "delay", "delay_ms", "due this long after it was submitted", least_ms=0, default=""
    ),
}
_SOURCES: Final = {
    "event": Field(
        "events", EVENT, "a job for each such event: a glob, a list of globs, or {type, filter}"
    ),
    "webhook": Field("webhook", WEBHOOK, "a job for each request: {path, auth, wait, filter}"),
}
_MAPPING: Final = record({**_ONCE, **SCHEDULE, **_SOURCES}, dict)


def _read(value: Any, path: Path, problems: Problems) -> Trigger | None:
    found: dict[str, Any] | None = _MAPPING.read(value, path, problems)
    if found is None:
        return None
    once = {target: found.pop(target) for target in ("at_ms", "delay_ms") if target in found}
    sources = {target: found.pop(target) for target in ("events", "webhook") if target in found}
    given = [key for key in _SOURCES if value.get(key) is not None]
    recurring = [key for key in value if key in SCHEDULE and value[key] is not None]
    if given and len(value) > 1:
        other = next(key for key in value if key != given[0])
        problems.add((*path, other), f"{given[0]} stands alone; a job has one trigger")
    if not recurring:
        return Trigger(**once, **sources)
    for key in _ONCE:
        if value.get(key) is not None:
            problems.add((*path, key), f"{key} makes one job, {recurring[0]} many; give one")
    recurrence = recurrence_of(found, value, path, problems)
    return Trigger(recurrence=recurrence) if recurrence is not None else None


TRIGGER: Final = Kind(_MAPPING.schema, _read)
