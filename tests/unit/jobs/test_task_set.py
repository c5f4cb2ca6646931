"""A fan-out: members in order, parallelism, fail_fast, cancel, its end."""

from __future__ import annotations

import pytest

from actors import limits
from actors.core import job, task_set
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.job import Task
from tests.unit.jobs.given import Given


@pytest.fixture
def given() -> Given:
    return Given()


def _advance(given: Given, job_id: str) -> Txn | None:
    return task_set.advance(given.state, job_id, given.now)


def _states(given: Given, job_id: str) -> list[str]:
    return [entry.noun.state for _, entry in given.state.scan(keys.tasks_of(job_id))]


def test_members_are_made_in_order_up_to_the_parallelism(given: Given) -> None:
    job_id = given.accept(tasks=5, parallelism=2)
    assert given.commit(_advance(given, job_id)) == ["jobd:job:started"]
    assert given.job(job_id).state == "running"
    assert _advance(given, job_id) is None
    given.finish(given.claim(job_id, 1))
    given.commit(_advance(given, job_id))
    assert _states(given, job_id) == ["pending", "succeeded", "pending"]


def test_many_members_take_several_transactions(given: Given) -> None:
    job_id = given.accept(tasks=limits.MEMBERS_PER_TXN + 7)
    given.commit(_advance(given, job_id))
    given.commit(_advance(given, job_id))
    assert _advance(given, job_id) is None
    assert len(_states(given, job_id)) == limits.MEMBERS_PER_TXN + 7


def test_of_two_homes_one_makes_the_members(given: Given) -> None:
    job_id = given.accept(tasks=3)
    first, second = _advance(given, job_id), _advance(given, job_id)
    given.commit(first)
    assert given.conflicts(second)


@pytest.mark.parametrize(
    ("outcomes", "needed", "state"),
    [
        (["succeeded"] * 3, 0, "succeeded"),
        (["succeeded", "failed", "succeeded"], 2, "succeeded"),
        (["succeeded", "failed", "failed"], 2, "failed"),
        (["succeeded", "failed", "succeeded"], 0, "failed"),
    ],
)
def test_how_it_ends(given: Given, outcomes: list[str], needed: int, state: str) -> None:
    job_id = given.accept(tasks=3, min_success=needed)
    given.commit(_advance(given, job_id))
    for index, outcome in enumerate(outcomes):
        assert _advance(given, job_id) is None
        given.finish(given.claim(job_id, index), outcome)
    given.commit(_advance(given, job_id))
    record = given.job(job_id)
    good = outcomes.count("succeeded")
    assert record.state == state
    assert record.detail == f"{good} of 3 tasks succeeded, {needed or 3} needed"


def test_fail_fast_stops_the_rest(given: Given) -> None:
    job_id = given.accept(tasks=6, parallelism=3, min_success=5, fail_fast=True)
    given.commit(_advance(given, job_id))
    attempts = [given.claim(job_id, index) for index in (0, 1)]
    given.finish(attempts[0], "failed")
    given.commit(_advance(given, job_id))  # one failure is within reach of 5 of 6: a new member
    assert not given.job(job_id).stop
    given.finish(given.claim(job_id, 2), "failed")
    given.commit(_advance(given, job_id))
    assert given.job(job_id).stop
    assert isinstance(given.try_claim(job_id, 3), job.Wait)
    given.commit(_advance(given, job_id))
    assert _states(given, job_id) == ["failed", "running", "failed", "cancelled"]
    assert job.slot_action(
        given.state, attempts[1], job.Held("running"), "s1", now_ms=given.now
    ) == job.Kill("stop")
    given.finish(attempts[1], "cancelled", "killed")
    assert given.commit(_advance(given, job_id)) == ["jobd:job:failed"]


def test_a_cancel_that_came_too_late_changes_nothing(given: Given) -> None:
    job_id = given.accept(tasks=2)
    given.commit(_advance(given, job_id))
    for index in (0, 1):
        given.finish(given.claim(job_id, index))
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    given.commit(_advance(given, job_id))
    assert given.job(job_id).state == "succeeded"


def test_a_kept_census_decides_as_a_counted_one(given: Given) -> None:
    job_id = given.accept(tasks=4, parallelism=2, min_success=1)
    kept = task_set.Census()
    known: dict[str, Task] = {}

    def follow() -> None:
        for key, entry in given.state.scan(keys.tasks_of(job_id)):
            if known.get(key) != entry.noun:
                kept.moved(known.get(key), entry.noun)
                known[key] = entry.noun

    for _ in range(20):
        follow()
        txn = _advance(given, job_id)
        assert task_set.advance(given.state, job_id, given.now, kept) == txn
        if txn is not None:
            given.commit(txn)
            continue
        ready = [i for i, state in enumerate(_states(given, job_id)) if state == "pending"]
        if not ready:
            break
        given.finish(given.claim(job_id, ready[0]), "failed" if ready[0] == 1 else "succeeded")
    assert given.job(job_id).state == "succeeded"
