"""Timers: expires, schedule_timeout, total_timeout, the index that finds them, the id buckets."""

from __future__ import annotations

import pytest

from actors import limits
from actors.core import buckets, job, task_set
from actors.core.due import DueIndex
from actors.model import keys
from actors.model.ids import make_id
from actors.model.spec import Retry, Trigger
from tests.unit.jobs.given import NOW, Given


@pytest.fixture
def given() -> Given:
    return Given()


def test_expires_ends_what_never_started(given: Given) -> None:
    job_id = given.accept(expires_ms=1000, trigger=Trigger(delay_ms=50))
    assert job.due_at(given.state, keys.job(job_id)) == NOW + 50
    given.due(keys.job(job_id))
    assert given.due(keys.job(job_id)) == ["jobd:job:expired"]
    assert given.now == NOW + 1050, "it counts from the moment that its time comes"
    assert given.job(job_id).state == "expired"


def test_expires_does_not_touch_what_started_once(given: Given) -> None:
    job_id = given.accept(expires_ms=1000, retry=Retry(max_attempts=2))
    given.finish(given.claim(job_id), "failed")
    given.due(keys.job(job_id))
    assert given.job(job_id).state == "pending"
    assert job.due_at(given.state, keys.job(job_id)) is None


def test_a_fan_out_expires_only_as_a_whole(given: Given) -> None:
    first, second = given.accept(tasks=3, expires_ms=1000), given.accept(tasks=3, expires_ms=1000)
    for job_id in (first, second):
        given.commit(task_set.advance(given.state, job_id, given.now))
    given.claim(second, 1)
    assert job.due_at(given.state, keys.job(second)) is None
    given.now += 1000
    decided = job.due(given.state, keys.job(first), now_ms=given.now, rand=0)
    racing = given.try_claim(first, 2)
    given.commit(decided)
    assert given.conflicts(racing), "nothing starts beside the expiry"
    given.commit(task_set.advance(given.state, first, given.now))
    assert given.commit(task_set.advance(given.state, first, given.now)) == ["jobd:job:expired"]
    assert given.job(first).state == "expired"


def test_a_claim_wins_over_an_expiry_decided_before_it(given: Given) -> None:
    job_id = given.accept(tasks=3, expires_ms=1000)
    given.commit(task_set.advance(given.state, job_id, given.now))
    given.now += 1000
    decided = job.due(given.state, keys.job(job_id), now_ms=given.now, rand=0)
    given.claim(job_id, 2)
    assert given.conflicts(decided)


def test_schedule_timeout_is_a_failure_that_may_be_retried(given: Given) -> None:
    job_id = given.accept(
        schedule_timeout_ms=500, retry=Retry(max_attempts=2, delay_ms=20, jitter="none")
    )
    assert given.due(keys.job(job_id)) == ["jobd:job:retrying"]
    assert given.job(job_id).state == "scheduled"
    given.due(keys.job(job_id))
    assert given.due(keys.job(job_id)) == ["jobd:job:failed"]
    record = given.job(job_id)
    assert (record.state, record.reason, record.n) == ("failed", "schedule_timeout", 0)
    assert given.now == NOW + 500 + 20 + 500


def test_schedule_timeout_of_a_task(given: Given) -> None:
    job_id = given.accept(tasks=2, schedule_timeout_ms=500)
    given.commit(task_set.advance(given.state, job_id, given.now))
    assert given.due(keys.task(job_id, 1)) == ["jobd:task:failed"]
    assert given.record(job_id, 1).reason == "schedule_timeout"


def test_total_timeout_of_what_does_not_run(given: Given) -> None:
    job_id = given.accept(total_timeout_ms=500)
    assert given.due(keys.job(job_id)) == ["jobd:job:failed"]
    assert given.job(job_id).reason == "timeout"


def test_total_timeout_of_what_runs_asks_for_its_end(given: Given) -> None:
    job_id = given.accept(total_timeout_ms=500, retry=Retry(max_attempts=5))
    attempt = given.claim(job_id)
    assert given.due(keys.job(job_id)) == []
    assert job.slot_action(
        given.state, attempt, job.Held("running"), "s1", now_ms=given.now
    ) == job.Kill("total_timeout")
    assert given.finish(attempt, "cancelled", "killed") == ["jobd:job:failed"]
    record = given.job(job_id)
    assert (record.state, record.reason) == ("failed", "timeout")


def test_total_timeout_of_a_fan_out(given: Given) -> None:
    job_id = given.accept(tasks=2, total_timeout_ms=500)
    given.commit(task_set.advance(given.state, job_id, given.now))
    attempt = given.claim(job_id, 0)
    given.due(keys.job(job_id))
    given.commit(task_set.advance(given.state, job_id, given.now))
    given.finish(attempt, "cancelled", "killed")
    assert given.commit(task_set.advance(given.state, job_id, given.now)) == ["jobd:job:failed"]
    assert given.job(job_id).reason == "timeout"


def test_terminal_has_nothing_due(given: Given) -> None:
    job_id = given.accept(total_timeout_ms=500, expires_ms=500)
    given.finish(given.claim(job_id))
    assert job.due_at(given.state, keys.job(job_id)) is None
    assert job.due(given.state, keys.job(job_id), now_ms=NOW * 2, rand=0) is None


def test_the_index_pops_in_order_and_forgets_what_changed() -> None:
    index = DueIndex()
    for key, due_ms in (("a", 30), ("b", 10), ("c", 20), ("d", 40)):
        index.set(key, due_ms)
    index.set("c", None)
    index.set("a", 5)
    index.set("a", 15)
    assert index.next_ms == 10
    assert index.pop(39) == ["b", "a"]
    assert (len(index), index.next_ms) == (1, 40)
    assert index.pop(40, limit=0) == []
    assert index.pop(40, limit=1) == ["d"]
    assert index.next_ms is None


def test_the_index_stays_small_under_many_changes() -> None:
    index = DueIndex()
    for due_ms in range(10_000):
        index.set("a", due_ms)
    assert len(index._heap) <= 2 * len(index) + 65
    assert index.pop(9_999) == ["a"]


def test_fine_buckets_go_into_their_hour_at_once(given: Given) -> None:
    old = [make_id(NOW + i * buckets.FINE_MS, i) for i in range(3)]
    given.commit(buckets.close(old, NOW + 10 * buckets.FINE_MS))
    fine = buckets.buckets_of(old[0])[0]
    hour_end = (NOW // buckets.HOUR_MS + 1) * buckets.HOUR_MS
    assert job.due_at(given.state, fine) == hour_end + limits.TERMINAL_KEEP_S * 1000
    assert job.due(given.state, fine, now_ms=hour_end, rand=0) is None
    given.due(fine)
    assert given.state.count("closed") == 1
    assert all(buckets.is_closed(given.state, job_id) for job_id in old)
    hour = buckets.buckets_of(old[0])[1]
    given.due(hour)
    assert given.now == hour_end + limits.CLOSED_HOURS_KEEP_S * 1000
    assert given.state.count("closed") == 0


def test_a_running_bucket_is_not_closed() -> None:
    with pytest.raises(AssertionError, match="B3"):
        buckets.close([make_id(NOW, 1)], NOW)


def test_retention_by_age_and_by_count() -> None:
    kept = job.Retention(keep_s=10, keep_jobs=3)
    for i in range(5):
        kept.add(f"j{i}", 1000 * i)
    assert kept.excess(0, 100) == ["j0", "j1"], "the oldest go when there are too many"
    assert kept.excess(12_999, 100) == ["j0", "j1", "j2"]
    assert kept.excess(13_000, 2) == ["j0", "j1"]
    kept.discard("j0")
    kept.discard("j0")
    assert (len(kept), kept.next_ms()) == (4, 11_000)
