"""The nominal times of a recurrence: what its cron expressions mean in its zone, or its interval.

Rules of this file:
N1  A nominal time is a moment in UTC. It depends on recurrence, name and zone data only, never on
    when it is asked for: (schedule, nominal time) is a fire's identity.
N2  Expressions that name hours follow the wall clock. A local time in a gap is `shift`ed by the
    gap's length (as RFC 5545 reads it) or `skip`ped; one that comes twice fires the first time, the
    last time or both.
N3  Expressions of any hour (`*`, `*/2`) follow real time: they fire whenever the clock shows such a
    time, so twice where it shows it twice, and never for a time that it doesn't show. Intervals
    know no clock at all.
N4  Two expressions, or a shifted time and another one, that mean the same moment are one fire.
N5  Jitter is a number of (name, nominal time): any node at any time finds the same delay.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

from actors.core.schedule.cron import has_any_hour, next_local
from actors.core.schedule.zone import Stretch, stretch_at
from actors.model.recurrence import Dst, Recurrence

__all__ = ["LAST_MS", "due_ms", "latest", "next_ms", "nominal_times"]

_REAL_TIME: Final = Dst("skip", "both")
_LOCAL_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - a local time has no zone
_SECOND: Final = datetime.timedelta(seconds=1)
LAST_MS: Final = 32_503_680_000_000  # the year 3000; nobody plans further, and dates end
_FAR_S: Final = 2 * 86_400  # no offset, and no change of one, is larger


def next_ms(recurrence: Recurrence, name: str, after_ms: int) -> int | None:
    """Return the first nominal time above a moment, None when there is none until the year 3000.

    There is none before 1970.
    """
    after_ms = max(after_ms, recurrence.not_before_ms - 1, -1)
    if after_ms >= LAST_MS:
        return None
    if recurrence.every_ms:
        passed = (after_ms - recurrence.anchor_ms) // recurrence.every_ms + 1
        found = recurrence.anchor_ms + max(0, passed) * recurrence.every_ms
    else:
        times = [_next_of(text, recurrence, name, after_ms // 1000) for text in recurrence.cron]
        known = [time_s for time_s in times if time_s is not None]
        if not known:
            return None
        found = min(known) * 1000
    last_ms = min(recurrence.not_after_ms or LAST_MS, LAST_MS)
    return None if found > last_ms else found


def nominal_times(recurrence: Recurrence, name: str, after_ms: int) -> Iterator[int]:
    """Yield the nominal times above a moment, in their order."""
    found = next_ms(recurrence, name, after_ms)
    while found is not None:
        yield found
        found = next_ms(recurrence, name, found)


def latest(
    recurrence: Recurrence, name: str, after_ms: int, until_ms: int, most: int
) -> tuple[list[int], bool]:
    """Return the last nominal times of (after, until], at most `most`, and whether they are all.

    The cost depends on `most`, not on how long ago `after_ms` is. Of more than `most` there may be
    fewer in the answer, but never fewer than half.
    """
    found = _between(recurrence, name, after_ms, until_ms, most + 1)
    if len(found) <= most:
        return found, True
    few: list[int] = []
    short_ms, long_ms = 0, 1_000  # spans before `until_ms`: of few times, of too many
    while len(more := _between(recurrence, name, until_ms - long_ms, until_ms, most + 1)) <= most:
        few, short_ms, long_ms = more, long_ms, 2 * long_ms
    while 2 * len(few) < most and long_ms - short_ms > 1_000:
        middle_ms = (short_ms + long_ms) // 2
        more = _between(recurrence, name, until_ms - middle_ms, until_ms, most + 1)
        if len(more) <= most:
            few, short_ms = more, middle_ms
        else:
            long_ms = middle_ms
    return few, False


def due_ms(recurrence: Recurrence, name: str, nominal_ms: int) -> int:
    """Return when a fire is due: at its nominal time, or its jitter later (N5)."""
    if not recurrence.jitter_ms:
        return nominal_ms
    mixed = f"{name}\0{nominal_ms}".encode()
    digest = hashlib.blake2b(mixed, digest_size=8, person=b"jobd-jitter").digest()
    return nominal_ms + int.from_bytes(digest, "big") % recurrence.jitter_ms


def _between(
    recurrence: Recurrence, name: str, after_ms: int, until_ms: int, most: int
) -> list[int]:
    found: list[int] = []
    for nominal_ms in islice(nominal_times(recurrence, name, after_ms), most):
        if nominal_ms > until_ms:
            break
        found.append(nominal_ms)
    return found


def _next_of(text: str, recurrence: Recurrence, name: str, after_s: int) -> int | None:
    """Return the first moment above `after_s` of one expression: stretch by stretch."""
    dst = _REAL_TIME if has_any_hour(text) else recurrence.dst
    while True:
        stretch = stretch_at(recurrence.timezone, after_s + 1)
        found = [
            _regular(text, name, stretch, dst, after_s),
            _shifted(text, name, stretch, dst, after_s),
        ]
        ahead = [time_s for time_s in found if time_s is not None]
        if not ahead:
            return None
        if min(ahead) < stretch.end_s:
            return min(ahead)
        # nothing in this stretch; it may be years until the next local time that matches
        after_s = max(stretch.end_s - 1, min(ahead) - _FAR_S)


def _regular(text: str, name: str, stretch: Stretch, dst: Dst, after_s: int) -> int | None:
    """The first local time that a stretch shows, but for those that the other showing has."""
    first_s = stretch.start_s
    if dst.overlap == "first":
        first_s += stretch.repeated_s
    found = _local(text, name, max(after_s, first_s - 1), stretch.offset_s)
    if found is None or dst.overlap != "last":
        return found
    if stretch.end_s - stretch.to_repeat_s <= found < stretch.end_s:
        return stretch.end_s  # its second showing is in the next stretch
    return found


def _shifted(text: str, name: str, stretch: Stretch, dst: Dst, after_s: int) -> int | None:
    """The first local time of the gap before a stretch, read with the offset before it."""
    if dst.gap == "skip" or not stretch.gap_s:
        return None
    found = _local(text, name, max(after_s, stretch.start_s - 1), stretch.before_s)
    return found if found is not None and found < stretch.start_s + stretch.gap_s else None


def _local(text: str, name: str, after_s: int, offset_s: int) -> int | None:
    """Return the first moment above `after_s` at which a clock with this offset shows a match."""
    shown = _LOCAL_EPOCH + datetime.timedelta(seconds=after_s + offset_s)
    found = next_local(text, name, shown)
    return None if found is None else (found - _LOCAL_EPOCH) // _SECOND - offset_s
