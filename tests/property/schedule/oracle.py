"""What fires are, by brute force: each local minute of some days, and what zoneinfo makes of it.

Knows nothing of the product: no stretches, no transitions, no croniter.
"""

from __future__ import annotations

import datetime
import zoneinfo
from typing import NamedTuple

__all__ = ["Wanted", "changes", "fires"]

_MINUTE = datetime.timedelta(minutes=1)
_DAY = datetime.timedelta(days=1)


class Wanted(NamedTuple):
    """Minutes and hours (None: any) of each day, and what becomes of odd local times."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...] | None
    gap: str
    overlap: str


def fires(wanted: Wanted, zone: str, first: datetime.datetime, days: int) -> list[int]:
    """Return the fires (Unix seconds) of the UTC days from `first` on, sorted."""
    tz = zoneinfo.ZoneInfo(zone)
    end = first + days * _DAY
    found: set[int] = set()
    if wanted.hours is None:
        moment = first
        while moment < end:
            if moment.astimezone(tz).minute in wanted.minutes:
                found.add(int(moment.timestamp()))
            moment += _MINUTE
        return sorted(found)
    for day in range(-2, days + 2):
        date = (first + day * _DAY).date()
        for hour in wanted.hours:
            for minute in wanted.minutes:
                shown = datetime.datetime(date.year, date.month, date.day, hour, minute)  # noqa: DTZ001
                found.update(_moments(shown, tz, wanted))
    low, high = int(first.timestamp()), int(end.timestamp())
    return sorted(time_s for time_s in found if low <= time_s < high)


def _moments(shown: datetime.datetime, tz: datetime.tzinfo, wanted: Wanted) -> list[int]:
    """The moments that a local time stands for: one, two, or, in a gap, none of its own."""
    both = [shown.replace(tzinfo=tz, fold=fold).astimezone(datetime.UTC) for fold in (0, 1)]
    real = {each for each in both if each.astimezone(tz).replace(tzinfo=None) == shown}
    if not real:  # PEP 495: with fold=0 the offset before the gap
        return [] if wanted.gap == "skip" else [int(both[0].timestamp())]
    ordered = sorted(real)
    chosen = {"first": ordered[:1], "last": ordered[-1:], "both": ordered}[wanted.overlap]
    return [int(each.timestamp()) for each in chosen]


def changes(zone: str, year: int) -> list[datetime.datetime]:
    """Return the UTC days of a year in which a zone's offset changes."""
    tz = zoneinfo.ZoneInfo(zone)
    day = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    found = []
    while day.year == year:
        if day.astimezone(tz).utcoffset() != (day + _DAY).astimezone(tz).utcoffset():
            found.append(day)
        day += _DAY
    return found
