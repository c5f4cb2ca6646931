"""What is ahead of a schedule, for people: its next times, and those around a clock change."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from actors.core.schedule.cron import has_any_hour, next_local
from actors.core.schedule.times import LAST_MS, latest, nominal_times
from actors.core.schedule.zone import Stretch, stretch_at
from actors.core.start import is_open
from actors.core.view import View
from actors.model import keys
from actors.model.recurrence import Recurrence
from actors.model.schedule import Schedule

__all__ = ["Ahead", "ahead", "around_changes", "reasons"]

_DAY_MS: Final = 86_400_000
_LOCAL_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - a local time has no zone
_SECOND: Final = datetime.timedelta(seconds=1)


class Ahead(NamedTuple):
    """A nominal time, what the zone's clock shows then, and what is odd about it."""

    nominal_ms: int
    local: str
    note: str


def ahead(recurrence: Recurrence, name: str, after_ms: int, count: int) -> Iterator[Ahead]:
    """Yield the next nominal times."""
    for nominal_ms in islice(nominal_times(recurrence, name, after_ms), count):
        yield _shown(recurrence, name, nominal_ms)


def around_changes(recurrence: Recurrence, name: str, after_ms: int, count: int) -> Iterator[Ahead]:
    """Yield up to `count` nominal times around the next two changes of the zone's clock."""
    each = max(1, count // 4)
    for change_s in islice(_changes(recurrence.timezone, after_ms // 1000), 2):
        change_ms = change_s * 1000
        before, _ = latest(recurrence, name, change_ms - 2 * _DAY_MS, change_ms - 1, each)
        for nominal_ms in before[-each:]:
            yield _shown(recurrence, name, nominal_ms)
        yield from ahead(recurrence, name, change_ms - 1, each)


def reasons(view: View, name: str, schedule: Schedule, now_ms: int) -> list[dict[str, str]]:
    """Say why a schedule starts nothing at this moment: `[{code, message}]`."""
    found = []
    recurrence = schedule.recurrence
    if schedule.paused:
        found.append(("paused", "it is paused; `jobctl schedule resume` has it go on from then"))
    if 0 < recurrence.max_fires <= schedule.fires:
        found.append(("max_fires", f"it has fired {schedule.fires} times, as often as it may"))
    elif not schedule.next_ms and 0 < recurrence.not_after_ms <= now_ms:
        found.append(("not_after", "its time is over"))
    elif not schedule.next_ms:
        found.append(("never", "no further time matches"))
    if schedule.target.kind == "job" and view.get(keys.template(schedule.target.name)) is None:
        found.append(("no_template", f"there is no spec {keys.template(schedule.target.name)}"))
    still = [each for each in schedule.running if is_open(view, schedule.target, each)]
    if still and recurrence.overlap in ("skip", "queue_one", "queue_all"):
        then = "is skipped" if recurrence.overlap == "skip" else "waits"
        text = f"{schedule.target.kind} {still[-1]} still runs: the next fire {then} until it ends"
        found.append(("overlap", text))
    if not found and schedule.next_ms > now_ms:
        found.append(("waiting", "it waits for its next time"))
    return [{"code": code, "message": message} for code, message in found]


def _changes(zone: str, after_s: int) -> Iterator[int]:
    """Yield the moments at which a zone's clock is set; one that is set no more ends the search."""
    stretch = stretch_at(zone, min(after_s, LAST_MS // 1000))
    while stretch.offset_s != stretch.after_s:
        yield stretch.end_s
        stretch = stretch_at(zone, stretch.end_s)


def _shown(recurrence: Recurrence, name: str, nominal_ms: int) -> Ahead:
    if recurrence.every_ms:
        moment = datetime.datetime.fromtimestamp(nominal_ms / 1000, datetime.UTC)
        return Ahead(nominal_ms, moment.isoformat(timespec="seconds"), "")
    nominal_s = nominal_ms // 1000
    stretch = stretch_at(recurrence.timezone, nominal_s)
    zone = datetime.timezone(datetime.timedelta(seconds=stretch.offset_s))
    moment = datetime.datetime.fromtimestamp(nominal_s, zone)
    return Ahead(nominal_ms, moment.isoformat(), _note(recurrence, name, nominal_s, stretch))


def _note(recurrence: Recurrence, name: str, nominal_s: int, stretch: Stretch) -> str:
    if stretch.gap_s and nominal_s < stretch.start_s + stretch.gap_s:
        meant = _LOCAL_EPOCH + (nominal_s + stretch.before_s) * _SECOND
        if any(
            next_local(text, name, meant - _SECOND) == meant and not has_any_hour(text)
            for text in recurrence.cron
        ):
            return f"shifted: the clock skips {meant:%H:%M}"
    if nominal_s < stretch.start_s + stretch.repeated_s:
        return "the second time that the clock shows it"
    if nominal_s >= stretch.end_s - stretch.to_repeat_s:
        return "the first of two times that the clock shows it"
    return ""
