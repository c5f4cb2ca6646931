"""Nominal times around the clock changes of IANA zones, against brute force.

CI has a slice. All zones from 2020 to 2037:

    python -m tests.property.schedule.test_zones
"""

from __future__ import annotations

import datetime
import random
import sys
import zoneinfo
from itertools import takewhile

import pytest

from actors.core.schedule.times import nominal_times
from actors.model.recurrence import Dst, Recurrence
from tests.property.schedule.oracle import Wanted, changes, fires

YEARS = range(2020, 2038)
# both hemispheres, half an hour, two hours, negative summer time, Ramadan, a change of the date's
# side of midnight, one change only, none
SLICE = (
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Havana",
    "America/Nuuk",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Asia/Kolkata",
)


def differs(zone: str, day: datetime.datetime, chance: random.Random) -> str:
    """Compare three days around one; return what differs, "" when nothing does."""
    wanted = Wanted(
        minutes=tuple(sorted(chance.sample(range(60), 2))),
        hours=chance.choice([None, (0, 1, 2, 3, 4), tuple(sorted(chance.sample(range(24), 6)))]),
        gap=chance.choice(["shift", "skip"]),
        overlap=chance.choice(["first", "last", "both"]),
    )
    hours = "*" if wanted.hours is None else ",".join(map(str, wanted.hours))
    text = f"{','.join(map(str, wanted.minutes))} {hours} * * *"
    recurrence = Recurrence(cron=(text,), timezone=zone, dst=Dst(wanted.gap, wanted.overlap))  # type: ignore[arg-type]
    first = day - datetime.timedelta(days=1)
    low = int(first.timestamp()) * 1000
    high = low + 3 * 86_400_000
    ours = list(takewhile(lambda ms: ms < high, nominal_times(recurrence, "s", low - 1)))
    theirs = [time_s * 1000 for time_s in fires(wanted, zone, first, 3)]
    if ours == theirs:
        return ""
    return f"{zone} {first} {text} {recurrence.dst}: {sorted(set(ours) ^ set(theirs))}"


@pytest.mark.parametrize("zone", SLICE)
def test_every_change_of_the_clock_is_as_brute_force_has_it(zone: str) -> None:
    chance = random.Random(zone)
    days = [day for year in chance.sample(YEARS, 2) for day in changes(zone, year)]
    days += [datetime.datetime(chance.choice(YEARS), 12, 31, tzinfo=datetime.UTC)]
    for day in days:
        assert not differs(zone, day, chance)


def main() -> int:
    """Compare all zones; print what differs."""
    compared = wrong = 0
    for zone in sorted(zoneinfo.available_timezones() - {"localtime", "posixrules", "Factory"}):
        chance = random.Random(zone)
        for year in YEARS:
            for day in changes(zone, year):
                compared += 1
                if text := differs(zone, day, chance):
                    wrong += 1
                    print(text)
    print(f"{compared} changes of clocks compared, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
