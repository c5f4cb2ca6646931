"""Each nominal time is decided once: it starts, waits, or says why it does neither."""

from __future__ import annotations

from typing import Any

import pytest

from actors import limits
from actors.core import buckets, schedule
from actors.core.store.txn import Conflict, Txn, absent
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.spec import JobSpec
from tests.unit.schedule.scheduled import KEY, NAME, Scheduled, at


def test_a_fire_is_one_job_that_names_its_nominal_time() -> None:
    given = Scheduled()
    assert given.sleep_until("2026-06-01T12:59:59Z") == []
    assert given.sleep_until("2026-06-01T13:00:00.020Z") == ["fired 13:00"]
    (job_id,) = given.jobs
    assert given.job(job_id).cause == Cause("schedule", "nightly@2026-06-01T13:00:00Z")
    assert given.told[-1] | {"late_ms": 20, "started": f"job/{job_id}"} == given.told[-1]
    assert given.settle() == []
    assert schedule.due_at(given.state, KEY) == at("2026-06-01T14:00:00Z")


def test_two_nodes_that_decide_at_once_make_one_job() -> None:
    given = Scheduled()
    given.now = at("2026-06-01T13:00:00Z")
    both = [schedule.due(given.state, KEY, now_ms=given.now + late) for late in (0, 700)]
    given.commit(both[0])
    assert both[1] is not None
    assert isinstance(given.state.apply(both[1]), Conflict)
    assert len(given.jobs) == 1


def test_a_fire_whose_bucket_of_ids_is_closed_takes_a_later_id() -> None:
    given = Scheduled()
    given.now = at("2026-06-01T13:00:00Z")
    early = schedule.due(given.state, KEY, now_ms=given.now)
    assert early is not None
    own = next(key for key, _ in early.checks if key.startswith("job/"))
    fine, _ = buckets.buckets_of(keys.last(own))
    given.commit(Txn((absent(fine),), ((fine, encode(True)),)))
    assert isinstance(given.state.apply(early), Conflict)
    assert given.settle() == ["fired 13:00"]
    assert given.jobs[0] > keys.last(own)


@pytest.mark.parametrize(
    ("policy", "said", "jobs"),
    [
        ("skip", ["skipped_overlap 14:00 running", "skipped_overlap 15:00 running"], 1),
        ("queue_one", ["skipped_overlap 15:00 one waits"], 1),
        ("queue_all", [], 1),
        ("allow", ["fired 14:00", "fired 15:00"], 3),
        ("cancel_previous", ["fired 14:00", "fired 15:00"], 3),
    ],
)
def test_what_becomes_of_a_fire_while_the_last_job_runs(
    policy: str, said: list[str], jobs: int
) -> None:
    given = Scheduled(overlap=policy)
    given.sleep_until("2026-06-01T13:00:00Z")
    first = given.jobs[0]
    attempt = given.claim(first)
    told = given.sleep_until("2026-06-01T14:00:00Z") + given.sleep_until("2026-06-01T15:00:00Z")
    assert (told, len(given.jobs)) == (said, jobs)
    assert bool(given.job(first).cancel_ms) is (policy == "cancel_previous")
    given.finish(attempt)
    queued = {"queue_one": ["fired 14:00 queued"], "queue_all": ["fired 14:00 queued"]}
    assert given.settle() == queued.get(policy, [])
    if policy == "queue_all":
        given.end(given.jobs[-1])
        assert given.settle() == ["fired 15:00 queued"]


def test_a_full_queue_skips() -> None:
    given = Scheduled(cron=("* * * * *",), overlap="queue_all")
    given.sleep_until("2026-06-01T12:01:00Z")
    for minute in range(limits.SCHEDULE_QUEUE + 1):
        given.now = at("2026-06-01T12:02:00Z") + minute * 60_000
        given.settle()
    assert (len(given.schedule.queued), given.schedule.skipped) == (limits.SCHEDULE_QUEUE, 1)
    assert given.last.reason == "queue full"


@pytest.mark.parametrize(
    ("catchup", "said"),
    [
        (("none",), ["missed 13:00 catchup_none x4"]),
        (("last",), ["missed 13:00 catchup_last x3", "fired 16:00 catchup"]),
        (("all",), [f"fired {hour}:00 catchup" for hour in (13, 14, 15, 16)]),
        (
            ("all", 8_000_000),
            [
                "missed 13:00 catchup_window x2",
                "fired 15:00 catchup",
                "fired 16:00 catchup",
            ],
        ),
        (
            ("all", 86_400_000, 1),
            ["missed 13:00 catchup_max_runs x3", "fired 16:00 catchup"],
        ),
    ],
)
def test_what_was_overdue_is_made_up_for_as_asked(catchup: Any, said: list[str]) -> None:
    given = Scheduled(catchup=catchup, overlap="allow")
    assert given.sleep_until("2026-06-01T16:30:00Z") == said
    assert given.schedule.fires == len(given.jobs) == sum("fired" in each for each in said)
    assert given.schedule.missed == 4 - given.schedule.fires
    assert schedule.due_at(given.state, KEY) == at("2026-06-01T17:00:00Z")


def test_a_fire_on_time_takes_the_place_of_those_that_are_overdue() -> None:
    given = Scheduled()
    said = given.sleep_until("2026-06-01T16:00:30Z")
    assert said == ["missed 13:00 catchup_last x3", "fired 16:00"]


def test_a_fail_over_of_some_seconds_loses_no_fire() -> None:
    given = Scheduled(cron=("* * * * * *",), overlap="allow", catchup=("none",))
    said = given.sleep_until("2026-06-01T12:00:09.500Z")
    assert said == ["fired 12:00"] * 9


def test_a_year_of_seconds_costs_a_moment_and_is_told() -> None:
    given = Scheduled(cron=("* * * * * *",), overlap="skip")
    said = given.sleep_until("2027-06-01T12:00:00Z")
    assert said[0] == "missed 12:00 catchup x0"
    assert said[-2:] == ["skipped_overlap 12:00 running"] * 2 or "fired" in " ".join(said)
    assert given.schedule.cursor_ms == given.now


def test_a_starting_deadline_holds_for_all() -> None:
    given = Scheduled(starting_deadline_ms=10_000, overlap="queue_all")
    assert given.sleep_until("2026-06-01T13:00:11Z") == ["missed 13:00 starting_deadline"]
    assert given.sleep_until("2026-06-01T14:00:10Z") == ["fired 14:00"]
    assert given.sleep_until("2026-06-01T15:00:00Z") == []
    given.now += 10_001
    given.end(given.jobs[0])
    assert given.settle() == ["missed 15:00 starting_deadline"]


def test_jitter_delays_by_the_same_each_time_it_is_asked() -> None:
    given = Scheduled(jitter_ms=600_000)
    due_ms = schedule.due_at(given.state, KEY)
    assert due_ms is not None
    assert 0 < due_ms - at("2026-06-01T13:00:00Z") < 600_000
    given.now = due_ms - 1
    assert given.settle() == []
    given.now = due_ms
    assert given.settle() == ["fired 13:00"]
    assert given.told[-1]["late_ms"] == 0


def test_it_ends_after_so_many_fires_and_at_its_end() -> None:
    given = Scheduled(max_fires=2, overlap="allow")
    for hour in (13, 14, 15):
        given.sleep_until(f"2026-06-01T{hour}:00:00Z")
    assert (given.schedule.fires, schedule.due_at(given.state, KEY)) == (2, None)
    bounded = Scheduled(
        not_before_ms=at("2026-06-01T15:00:00Z"),
        not_after_ms=at("2026-06-01T16:00:00Z"),
        overlap="allow",
    )
    said = [
        line for hour in range(13, 20) for line in bounded.sleep_until(f"2026-06-01T{hour}:00:00Z")
    ]
    assert said == ["fired 15:00", "fired 16:00"]


def test_a_fire_that_cannot_start_is_recorded_and_the_next_one_comes() -> None:
    given = Scheduled()
    given.commit(Txn((), ((keys.template(NAME), None),)))
    assert given.sleep_until("2026-06-01T13:00:00Z") == ["missed 13:00 no_template"]
    assert (given.last.detail, given.schedule.missed) == ("there is no template/nightly", 1)
    spec = JobSpec(name=NAME, type="command", argv=("true",))
    given.commit(Txn((), ((keys.template(NAME), encode(spec)),)))
    assert given.sleep_until("2026-06-01T14:00:00Z") == ["fired 14:00"]


def test_a_clock_that_is_set_back_fires_nothing_twice() -> None:
    given = Scheduled(overlap="allow")
    assert given.sleep_until("2026-06-01T13:00:00Z") == ["fired 13:00"]
    assert given.sleep_until("2026-06-01T12:30:00Z") == []
    assert given.sleep_until("2026-06-01T13:00:01Z") == []
    assert given.sleep_until("2026-06-01T14:00:00Z") == ["fired 14:00"]
