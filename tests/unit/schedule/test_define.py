"""What users do with a schedule."""

from __future__ import annotations

import pytest

from actors import limits
from actors.core import schedule
from actors.core.store.txn import Txn
from actors.errors import Busy, Conflict, InvalidInput, NotFound
from actors.model.cause import Cause
from actors.model.ids import make_id
from actors.model.target import Target
from tests.unit.schedule.scheduled import KEY, NAME, Scheduled, at


def test_the_same_definition_changes_nothing_and_other_times_begin_now() -> None:
    given = Scheduled()
    before = given.state.revision
    parts = schedule.define_schedule(
        given.state,
        NAME,
        given.recurrence,
        Target("job", NAME),
        now_ms=given.now + 1,
        principal="t",
    )
    assert parts[1] == ()
    given.now = at("2026-06-01T15:30:00Z")
    given.define(cron=("30 * * * *",))
    assert given.state.revision == before + 1
    assert given.settle() == []
    assert schedule.due_at(given.state, KEY) == at("2026-06-01T16:30:00Z")


def test_an_interval_keeps_its_anchor_while_it_is_the_same() -> None:
    given = Scheduled(cron=(), every_ms=90_000)
    assert schedule.due_at(given.state, KEY) == given.now + 90_000
    given.now += 45_000
    given.define(overlap="allow")
    assert schedule.due_at(given.state, KEY) == given.now + 45_000


def test_a_name_is_of_one_owner() -> None:
    given = Scheduled()
    with pytest.raises(Conflict, match="that of job nightly"):
        schedule.define_schedule(
            given.state,
            NAME,
            given.recurrence,
            Target("pipeline", NAME),
            now_ms=given.now,
            principal="t",
        )


def test_a_paused_schedule_fires_nothing_and_says_so_when_it_goes_on() -> None:
    given = Scheduled()
    given.commit(schedule.pause(given.state, NAME, given.now))
    assert schedule.pause(given.state, NAME, given.now) is None
    assert given.sleep_until("2026-06-01T16:30:00Z") == []
    events = given.commit(schedule.resume(given.state, NAME, given.now))
    assert events == ["jobd:schedule:missed"]
    assert (given.last.reason, given.last.count, given.schedule.missed) == ("paused", 4, 4)
    assert given.settle() == []
    assert given.sleep_until("2026-06-01T17:00:00Z") == ["fired 17:00"]
    assert schedule.resume(given.state, NAME, given.now) is None


def test_a_fire_by_hand_is_a_job_at_once_and_counts_as_running() -> None:
    given = Scheduled()
    given.commit(schedule.pause(given.state, NAME, given.now))
    new_id = make_id(given.now, 5)
    txn = schedule.fire_now(
        given.state, NAME, new_id=new_id, now_ms=given.now, principal="t2", given_input={"a": 1}
    )
    given.commit(txn if isinstance(txn, Txn) else None)
    assert given.job(new_id).principal == "t2"
    assert (given.last.reason, given.schedule.fires) == ("manual", 0)
    given.commit(schedule.resume(given.state, NAME, given.now))
    assert given.sleep_until("2026-06-01T13:00:00Z") == ["skipped_overlap 13:00 running"]
    assert given.last.detail == new_id


def _backfill(given: Scheduled, first: str, last: str, *, at_once: bool = False) -> Txn:
    return schedule.backfill(
        given.state,
        NAME,
        new_id=make_id(given.now, len(given.schedule.backfills) + 9),
        from_ms=at(first),
        to_ms=at(last),
        at_once=at_once,
        now_ms=given.now,
    )


def test_a_backfill_fires_each_nominal_time_of_the_past_once() -> None:
    given = Scheduled()
    given.commit(_backfill(given, "2026-06-01T02:00:00Z", "2026-06-01T04:59:00Z", at_once=True))
    assert given.settle() == [f"fired 0{hour}:00 backfill" for hour in (2, 3, 4)]
    causes = [given.job(job_id).cause for job_id in given.jobs]
    assert Cause("backfill", "nightly@2026-06-01T03:00:00Z") in causes
    assert (given.schedule.backfills, given.schedule.fires) == ((), 0)


def test_a_backfill_in_turn_waits_for_each_job_and_the_schedule_goes_on_beside_it() -> None:
    given = Scheduled()
    given.commit(_backfill(given, "2026-06-01T02:00:00Z", "2026-06-01T03:00:00Z"))
    assert given.settle() == ["fired 02:00 backfill"]
    first = given.jobs[-1]
    assert given.sleep_until("2026-06-01T13:00:00Z") == ["fired 13:00"]
    given.end(first)
    assert given.settle() == ["fired 03:00 backfill"]


def test_a_backfill_that_makes_no_sense_is_refused() -> None:
    given = Scheduled()
    for first, last in (
        ("2026-06-01T04:00:00Z", "2026-06-01T03:00:00Z"),
        ("2026-06-01T04:00:00Z", "2026-06-02T03:00:00Z"),
        ("2026-06-01T04:01:00Z", "2026-06-01T04:02:00Z"),
    ):
        with pytest.raises(InvalidInput):
            _backfill(given, first, last)
    for _ in range(limits.SCHEDULE_BACKFILLS):
        given.commit(_backfill(given, "2026-06-01T02:00:00Z", "2026-06-01T04:00:00Z"))
    with pytest.raises(Busy):
        _backfill(given, "2026-06-01T02:00:00Z", "2026-06-01T04:00:00Z")


def test_what_is_not_there_is_not_found() -> None:
    given = Scheduled()
    given.commit(Txn(*schedule.delete_schedule(given.state, NAME)))
    assert schedule.due_at(given.state, KEY) is None
    with pytest.raises(NotFound):
        schedule.pause(given.state, NAME, given.now)
