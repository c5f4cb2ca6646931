"""A time zone as stretches of constant offset, which zoneinfo knows and doesn't tell.

Rules of this file:
Z1  Transitions are found by looking at the offset of each day and halving the days that change: no
    zone changes twice within a day.
Z2  A stretch knows the offsets before and after it, so gap and overlap at its ends are its own:
    an offset that grows leaves a gap of local times, one that shrinks an overlap.
"""

from __future__ import annotations

import datetime
import json
import zoneinfo
from bisect import bisect_right
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Stretch", "UnknownZoneError", "check_zone", "stretch_at"]

_DAY_S: Final = 86_400
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})  # those of a machine, or none
_LAST_YEAR: Final = 9990


class UnknownZoneError(Exception):
    """No time zone has this name."""


class Stretch(NamedTuple):
    """From `start_s` to before `end_s` (Unix seconds) local time is UTC plus `offset_s`."""

    start_s: int
    end_s: int
    offset_s: int
    before_s: int  # the offset until it starts
    after_s: int  # the offset from its end on

    @property
    def gap_s(self) -> int:
        """How much of local time is missing at its start."""
        return max(0, self.offset_s - self.before_s)

    @property
    def repeated_s(self) -> int:
        """How much of local time comes again at its start."""
        return max(0, self.before_s - self.offset_s)

    @property
    def to_repeat_s(self) -> int:
        """How much of the local time at its end will come again."""
        return max(0, self.offset_s - self.after_s)


def check_zone(name: str) -> None:
    """Check a zone's name. Raises UnknownZoneError with a proposal."""
    try:
        known = name not in _NO_ZONES and zoneinfo.ZoneInfo(name) is not None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        from actors.core.spec.problems import did_you_mean  # only a slip needs it

        hint = did_you_mean(name, zoneinfo.available_timezones() - _NO_ZONES, 0.7)
        hint = hint or "; IANA names look like Europe/Berlin"
        raise UnknownZoneError(f"unknown time zone {json.dumps(name)}{hint}")


def stretch_at(zone: str, time_s: int) -> Stretch:
    """Return the stretch that a moment is in; it is cut a year before and after that year."""
    year = (_EPOCH + datetime.timedelta(seconds=time_s)).year
    starts, stretches = _stretches(zone, min(year, _LAST_YEAR))
    return stretches[bisect_right(starts, time_s) - 1]


@lru_cache(1024)
def _stretches(zone: str, year: int) -> tuple[tuple[int, ...], tuple[Stretch, ...]]:
    years = (year - 1, year, year + 1)
    changes = [change for each in years for change in _changes(zone, each)]
    first, end = _year_s(year - 1), _year_s(year + 2)
    starts = [first, *(time_s for time_s in changes if time_s > first)]
    ends = [*starts[1:], end]
    offsets = [_offset_s(zone, time_s) for time_s in starts]
    before = [offsets[0], *offsets[:-1]]
    after = [*offsets[1:], offsets[-1]]
    made = zip(starts, ends, offsets, before, after, strict=True)
    return tuple(starts), tuple(Stretch(*each) for each in made)


@lru_cache(4096)
def _changes(zone: str, year: int) -> tuple[int, ...]:
    """Return the first moment of each new offset of a year (Z1)."""
    found = []
    start = _year_s(year)
    before = _offset_s(zone, start)
    while start < _year_s(year + 1):
        end = start + _DAY_S
        after = _offset_s(zone, end)
        if after != before:
            found.append(_change_between(zone, start, end, before))
        start, before = end, after
    return tuple(found)


def _change_between(zone: str, low: int, high: int, before: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_s(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset_s(zone: str, time_s: int) -> int:
    moment = _EPOCH + datetime.timedelta(seconds=time_s)
    offset = moment.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return offset // datetime.timedelta(seconds=1)


def _year_s(year: int) -> int:
    return (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) - _EPOCH) // datetime.timedelta(
        seconds=1
    )
