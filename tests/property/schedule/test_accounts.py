"""Whatever happens to a schedule, each nominal time up to its cursor is accounted for, once."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from actors.core import schedule
from actors.core.job import cancel
from actors.core.schedule.times import nominal_times
from actors.model.job import TERMINAL
from tests.unit.schedule.scheduled import KEY, NAME, Scheduled

POLICIES = ("skip", "queue_one", "queue_all", "cancel_previous", "allow")


class Account(Scheduled):
    """A schedule, and whether some of its fires were missed uncounted: too many at once."""

    uncounted = False


def draw(chance: random.Random) -> Account:
    mode = chance.choice(("none", "last", "all"))
    return Account(
        cron=(chance.choice(("* * * * *", "*/7 * * * *", "0 * * * *")),),
        overlap=chance.choice(POLICIES),
        catchup=(mode, chance.choice((600_000, 86_400_000)), chance.choice((1, 5, 100))),
        jitter_ms=chance.choice((0, 0, 40_000)),
        starting_deadline_ms=chance.choice((0, 0, 90_000)),
    )


def act(given: Account, chance: random.Random) -> None:
    """Let something happen: time passes, or is set back; jobs run and end; somebody steers."""
    open_jobs = [job_id for job_id in given.jobs if given.job(job_id).state not in TERMINAL]
    match chance.randrange(8):
        case 0 | 1:
            given.now += chance.choice((500, 30_000, 61_000, 400_000, 7_200_000))
        case 2:
            given.now -= chance.choice((1_000, 100_000))
        case 3 | 4 if open_jobs:
            txn = cancel(given.state, chance.choice(open_jobs), "ends", given.now)
            if txn is not None:
                given.commit(txn)
        case 5 if chance.random() < 0.3:
            change = schedule.resume if given.schedule.paused else schedule.pause
            txn = change(given.state, NAME, given.now)
            assert txn is not None
            given.commit(txn)
            given.uncounted |= any(event.data.get("count") == 0 for event in txn.events)
        case _:
            for _ in range(chance.randrange(1, 4)):
                txn = schedule.due(given.state, KEY, now_ms=given.now)
                if txn is not None:
                    given.commit(txn)
                    given.uncounted |= any(event.data.get("count") == 0 for event in txn.events)


def check(given: Account) -> None:
    record = given.schedule
    count = 0
    for nominal_ms in nominal_times(record.recurrence, NAME, record.created_ms):
        if nominal_ms > record.cursor_ms:
            break
        count += 1
    causes = Counter(given.job(job_id).cause.id for job_id in given.jobs)
    assert set(causes.values()) <= {1}
    assert len(causes) == record.fires
    if not given.uncounted:
        assert count == record.fires + record.missed + record.skipped + len(record.queued)


@pytest.mark.parametrize("seed", range(20))
def test_every_nominal_time_is_accounted_for_once(seed: int) -> None:
    chance = random.Random(seed)
    given = draw(chance)
    for _ in range(40):
        act(given, chance)
    check(given)
