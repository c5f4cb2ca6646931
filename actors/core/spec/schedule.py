"""`cron | every | …`: the keys that say when something recurs, of a trigger or a pipeline.

A recurrence is a mapping of these keys, a cron expression as text, or a list of them.
"""

from __future__ import annotations

from typing import Any, Final

from actors.core.schedule.cron import CronError, check_cron
from actors.core.schedule.zone import UnknownZoneError, check_zone
from actors.core.spec.kinds import (
    BOOLEAN,
    MOMENT,
    Field,
    Kind,
    choice,
    durations,
    either,
    integer,
    list_of,
    record,
    text,
)
from actors.core.spec.problems import Path, Problems
from actors.limits import CATCHUP_RUNS, CRON_EXPRESSIONS
from actors.model.recurrence import Catchup, Dst, Recurrence

__all__ = ["SCHEDULE", "read_recurrence", "recurrence_of"]

_OVERLAPS: Final = ("skip", "queue_one", "queue_all", "cancel_previous", "allow")


def _cron() -> Kind:
    line = text(r".+", "a cron expression", most=256)

    def read(value: Any, path: Path, problems: Problems) -> str | None:
        expression: str | None = line.read(value, path, problems)
        if expression is None:
            return None
        try:
            check_cron(expression)
        except CronError as error:
            problems.add(path, f"character {error.offset + 1}: {error.message}")
            return None
        return expression

    return Kind(line.schema, read)


def _zone() -> Kind:
    name = text(r"[A-Za-z][A-Za-z0-9_+/-]*", "the name of a time zone", most=64)

    def read(value: Any, path: Path, problems: Problems) -> str | None:
        zone: str | None = name.read(value, path, problems)
        if zone is None:
            return None
        try:
            check_zone(zone)
        except UnknownZoneError as error:
            problems.add(path, str(error))
            return None
        return zone

    return Kind(name.schema, read)


_EXPRESSION: Final = _cron()
_EXPRESSIONS: Final = list_of(_EXPRESSION, most=CRON_EXPRESSIONS)
_DST: Final = {
    "gap": Field("gap", choice("shift", "skip"), "a local time that the clock skips", "shift"),
    "overlap": Field(
        "overlap", choice("first", "last", "both"), "a local time that it shows twice", "first"
    ),
}
_CATCHUP: Final = {
    "mode": Field("mode", choice("none", "last", "all"), "which are made up for", "last"),
    **durations("window", "window_ms", "older ones never are", default="24h"),
    "max_runs": Field("max_runs", integer(1, CATCHUP_RUNS), "the newest so many, of all", "100"),
}
SCHEDULE: Final[dict[str, Field]] = {
    "cron": Field(
        "cron",
        either("a cron expression or a list of them", {str: _EXPRESSION, list: _EXPRESSIONS}),
        "5 fields, or 6 with the seconds first; a list: any of them",
    ),
    **durations("every", "every_ms", "a fixed interval instead", least_ms=1_000, default=""),
    "anchor": Field("anchor_ms", MOMENT, "where intervals count from", "when it was made"),
    "timezone": Field("timezone", _zone(), "of the cron expressions", "UTC"),
    "dst": Field("dst", record(_DST, Dst), "when clocks change"),
    "overlap": Field(
        "overlap", choice(*_OVERLAPS), "when what the last fire started still runs", "skip"
    ),
    "catchup": Field("catchup", record(_CATCHUP, Catchup), "for fires that are overdue"),
    **durations("jitter", "jitter_ms", "a delay of each fire, always the same one, up to this"),
    **durations("starting_deadline", "starting_deadline_ms", "later than this: missed"),
    "not_before": Field("not_before_ms", MOMENT, "no fire before", "none"),
    "not_after": Field("not_after_ms", MOMENT, "no fire after", "none"),
    "paused": Field("paused", BOOLEAN, "whether it fires at all", "as it is"),
    "max_fires": Field("max_fires", integer(1, 10**9), "it ends after so many", "no limit"),
}


def read_recurrence(value: Any, path: Path, problems: Problems) -> Recurrence | None:
    """Read a mapping of SCHEDULE's keys, an expression, or a list; None when it has a problem."""
    given = value if type(value) is dict else {"cron": value}
    return recurrence_of(_MAPPING.read(given, path, problems), given, path, problems)


def recurrence_of(
    found: dict[str, Any] | None, given: dict[str, Any], path: Path, problems: Problems
) -> Recurrence | None:
    """Check what was read by itself for what needs more than one key."""
    if found is None:
        return None
    named = [key for key in ("cron", "every", "every_secs", "every_ms") if given.get(key)]
    if "cron" in found and "every_ms" in found:
        problems.add((*path, named[1]), f"{named[0]} and {named[1]} stand together; give one")
    elif not named:
        problems.add(path, "cron or every is missing")
    if "every_ms" in found:
        for key in ("timezone", "dst"):
            if key in found:
                problems.add((*path, key), f"{key} goes with cron; an interval knows no clock")
    elif "anchor_ms" in found:
        problems.add((*path, "anchor"), "anchor goes with every")
    first, last = found.get("not_before_ms", 0), found.get("not_after_ms", 0)
    if last and last < first:
        problems.add((*path, "not_after"), "it is before not_before")
    if not named or (named[0] == "cron" and "cron" not in found):
        return None
    cron = found.get("cron", ())
    return Recurrence(**{**found, "cron": (cron,) if type(cron) is str else tuple(cron)})


_MAPPING: Final = record(SCHEDULE, dict)
