"""Accept, claim, finish, lose, cancel: each rule by its transaction."""

from __future__ import annotations

import pytest

from actors import limits
from actors.core import job, session, task_set
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.ids import make_id
from actors.model.job import Output
from actors.model.spec import Concurrency, JobSpec, NodeLost, Retry, Trigger
from tests.unit.jobs.given import NODE, NOW, Given

ONE = (Concurrency("k", 1),)


@pytest.fixture
def given() -> Given:
    return Given()


def test_a_job_runs_and_succeeds(given: Given) -> None:
    job_id = given.accept()
    assert given.job(job_id).state == "pending"
    attempt = given.claim(job_id)
    assert given.job(job_id).state == "running"
    output = Output(b"7", 1)
    events = given.finish(attempt, exit_code=0, cpu_ms=3, max_rss_bytes=9, output=output)
    assert events == ["jobd:job:completed"]
    record = given.job(job_id)
    assert (record.state, record.reason, record.n) == ("succeeded", "exit", 1)
    assert (record.last[0].cpu_ms, record.last[0].max_rss_bytes, record.last[0].node) == (
        3,
        9,
        NODE,
    )
    assert given.state.get(attempt) is None
    stored = given.state.get(keys.output(job_id, 0))
    assert stored is not None and stored.noun == output


def test_a_failed_attempt_leaves_no_output(given: Given) -> None:
    job_id = given.accept()
    given.finish(given.claim(job_id), "failed", "output_schema", output=Output(b"7", 1))
    assert given.state.get(keys.output(job_id, 0)) is None


@pytest.mark.parametrize(
    ("trigger", "state", "due_ms"),
    [
        (Trigger(), "pending", 0),
        (Trigger(delay_ms=5), "scheduled", NOW + 5),
        (Trigger(at_ms=NOW + 9), "scheduled", NOW + 9),
        (Trigger(at_ms=NOW - 9), "pending", 0),
    ],
)
def test_accept_by_trigger(given: Given, trigger: Trigger, state: str, due_ms: int) -> None:
    record = given.job(given.accept(trigger=trigger))
    assert (record.state, record.due_ms) == (state, due_ms)


def test_an_id_is_accepted_once(given: Given) -> None:
    job_id = make_id(NOW, 1)
    spec = JobSpec(name="x", type="command")
    txn = job.accept(given.state, spec, job_id, now_ms=NOW, principal="p", body_hash="h")
    given.commit(txn)
    assert given.conflicts(txn)
    given.finish(given.claim(job_id))
    given.now += 20_000
    for _ in range(2):  # close its bucket, then evict
        given.commit(job.evict(given.state, [job_id], now_ms=given.now))
    assert given.state.get(keys.job(job_id)) is None
    assert given.conflicts(txn), "a late copy of an accept comes after the eviction"


def test_accept_and_claim_are_one_transaction(given: Given) -> None:
    job_id = make_id(NOW, 1)
    given.commit(
        job.accept(
            given.state,
            JobSpec(name="x", type="command", concurrency=ONE),
            job_id,
            now_ms=NOW,
            principal="p",
            body_hash="h",
            claim_with=job.Claimant(NODE, given.session, 3, "s1"),
        )
    )
    attempt = given.state.get(keys.attempt(job_id, 0, 1))
    assert attempt is not None and attempt.noun.slot == 3 and len(attempt.noun.permits) == 1
    assert given.job(job_id).state == "running"


def test_an_idempotency_key_in_use_conflicts_until_it_expires(given: Given) -> None:
    def accept(n: int, now_ms: int) -> Txn:
        spec = JobSpec(name="x", type="command")
        key = job.KeyUse("t1", "hash", 1000)
        return job.accept(
            given.state,
            spec,
            make_id(NOW, n),
            now_ms=now_ms,
            principal="t1",
            body_hash="h",
            idempotency=[key],
        )

    given.commit(accept(1, NOW))
    assert given.conflicts(accept(2, NOW + 999))
    given.commit(accept(3, NOW + 1000))
    held = given.state.get(keys.idempotency("t1", "hash"))
    assert held is not None and held.noun.made == make_id(NOW, 3)
    assert given.due(keys.idempotency("t1", "hash")) == []
    assert given.state.get(keys.idempotency("t1", "hash")) is None


def test_of_two_claims_one_wins(given: Given) -> None:
    job_id = given.accept()
    first, second = given.try_claim(job_id), given.try_claim(job_id, slot=1)
    given.commit(first)
    assert given.conflicts(second)


def test_a_claim_of_an_ended_session_conflicts(given: Given) -> None:
    job_id = given.accept()
    txn = given.try_claim(job_id)
    given.lose_node()
    assert given.conflicts(txn)


def test_a_cancel_wins_over_a_claim_decided_before_it(given: Given) -> None:
    job_id = given.accept()
    txn = given.try_claim(job_id)
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    assert given.conflicts(txn)
    assert isinstance(given.try_claim(job_id), job.Wait)


def test_permits_bound_what_runs(given: Given) -> None:
    first, second = given.accept(concurrency=ONE), given.accept(concurrency=ONE)
    attempt = given.claim(first)
    wait = given.try_claim(second)
    assert isinstance(wait, job.Wait) and wait.reason == "concurrency"
    third = given.accept(concurrency=ONE)
    assert given.job(third).state == "waiting"
    assert job.due_at(given.state, keys.job(third)) is None
    given.finish(attempt)
    given.due(keys.job(third))
    assert given.job(third).state == "pending"
    given.claim(third)


@pytest.mark.parametrize(
    ("on_limit", "state", "event"),
    [("cancel_new", "cancelled", "cancelled"), ("fail", "failed", "failed")],
)
def test_on_limit_ends_the_new_one(given: Given, on_limit: str, state: str, event: str) -> None:
    given.claim(given.accept(concurrency=ONE))
    second = given.accept(concurrency=(Concurrency("k", 1, on_limit),))  # type: ignore[arg-type]
    assert given.due(keys.job(second)) == [f"jobd:job:{event}"]
    record = given.job(second)
    assert (record.state, record.reason) == (state, "concurrency")


def test_on_limit_cancels_the_oldest_running(given: Given) -> None:
    policy = (Concurrency("k", 1, "cancel_running"),)
    first = given.accept(concurrency=policy)
    attempt = given.claim(first)
    given.now += 1
    second = given.accept(concurrency=policy)
    given.due(keys.job(second))
    assert given.job(first).cancel_reason == "concurrency"
    assert job.due_at(given.state, keys.job(second)) is None, "one on its way out is enough"
    given.finish(attempt, "cancelled", "killed")
    given.due(keys.job(second))
    given.claim(second)


def test_failures_are_retried_then_final(given: Given) -> None:
    job_id = given.accept(retry=Retry(max_attempts=2, jitter="none", delay_ms=70))
    assert given.finish(given.claim(job_id), "failed") == ["jobd:job:retrying"]
    record = given.job(job_id)
    assert (record.state, record.due_ms - given.now, record.fails) == ("scheduled", 70, 1)
    given.due(keys.job(job_id))
    assert given.finish(given.claim(job_id), "failed", exit_code=3) == ["jobd:job:failed"]
    record = given.job(job_id)
    assert (record.state, record.n, record.fails, len(record.last)) == ("failed", 2, 2, 2)


def test_a_superseded_finish_is_nothing(given: Given) -> None:
    job_id = given.accept(node_lost=NodeLost(0, "requeue"))
    attempt = given.claim(job_id)
    late = job.finish(
        given.state, attempt, job.Ending("succeeded", "exit"), now_ms=given.now, rand=0
    )
    given.lose_node()
    given.due(attempt)
    assert given.job(job_id).state == "pending"
    assert given.conflicts(late)
    ending = job.Ending("succeeded", "exit")
    assert job.finish(given.state, attempt, ending, now_ms=given.now, rand=0) is None


def test_requeues_are_bounded_and_no_failures(given: Given) -> None:
    job_id = given.accept(node_lost=NodeLost(0, "requeue"))
    for n in range(1, limits.REQUEUES + 2):
        attempt = given.claim(job_id)
        assert keys.attempt_parts(attempt)[2] == n
        given.commit(job.lost_by_own_node(given.state, attempt, now_ms=given.now, rand=0))
    record = given.job(job_id)
    assert (record.state, record.reason, record.fails) == ("failed", "node_lost", 1)


def test_loss_waits_and_a_return_ends_it(given: Given) -> None:
    job_id = given.accept(node_lost=NodeLost(5000, "fail"))
    attempt = given.claim(job_id)
    assert job.due_at(given.state, attempt) is None
    given.lose_node()
    assert job.due_at(given.state, attempt) == given.now + 5000
    assert job.lose(given.state, attempt, now_ms=given.now + 4999, rand=0) is None
    decided = job.lose(given.state, attempt, now_ms=given.now + 5000, rand=0)
    given.commit(session.open_session(given.state, NODE, 2, "", given.now))
    assert given.conflicts(decided), "at(session, lost): the node is back"
    assert job.due_at(given.state, attempt) is None
    given.finish(attempt)


def test_a_claim_that_came_before_its_node_left_is_lost_with_it(given: Given) -> None:
    job_id = given.accept(node_lost=NodeLost(0, "requeue"))
    attempt = given.claim(job_id)
    given.commit(session.end_session(given.state, NODE, "left", given.now))
    assert job.due_at(given.state, attempt) == given.now
    given.due(attempt)
    assert given.job(job_id).state == "pending"
    assert given.state.get(attempt) is None


def test_a_cancelled_attempt_of_a_lost_node_does_not_wait(given: Given) -> None:
    job_id = given.accept(node_lost=NodeLost(5000, "requeue"))
    attempt = given.claim(job_id)
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    given.lose_node()
    assert given.due(attempt) == ["jobd:job:cancelled"]
    assert given.now == NOW


@pytest.mark.parametrize(
    ("outcome", "retries", "state"),
    [
        ("succeeded", 1, "succeeded"),
        ("cancelled", 1, "cancelled"),
        ("lost", 1, "cancelled"),
        ("failed", 1, "failed"),
        ("failed", 3, "cancelled"),
    ],
)
def test_what_follows_an_attempt_of_a_cancelled_job(
    given: Given, outcome: str, retries: int, state: str
) -> None:
    """R7: nothing leads back once a cancel is requested."""
    job_id = given.accept(retry=Retry(max_attempts=retries), node_lost=NodeLost(0, "requeue"))
    attempt = given.claim(job_id)
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    assert job.cancel(given.state, job_id, "again", given.now) is None
    given.finish(attempt, outcome)
    assert given.job(job_id).state == state
    assert given.job(job_id).cancel_ms == NOW


def test_retry_makes_a_new_job_of_a_terminal_one(given: Given) -> None:
    job_id, new_id = given.accept(trigger=Trigger(delay_ms=9)), make_id(NOW, 99)

    def again() -> Txn | None:
        return job.retry_job(
            given.state, job_id, new_id, now_ms=given.now, principal="p", body_hash="h"
        )

    assert again() is None, "not terminal"
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    given.commit(again())
    record = given.job(new_id)
    assert (record.state, record.retry_of) == ("pending", job_id)


def test_a_large_fan_out_is_evicted_tasks_first(given: Given) -> None:
    job_id = given.accept(tasks=600)
    while (txn := task_set.advance(given.state, job_id, given.now)) is not None:
        given.commit(txn)
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    while (txn := task_set.advance(given.state, job_id, given.now)) is not None:
        given.commit(txn)
    assert given.job(job_id).state == "cancelled"
    assert job.evict(given.state, [job_id], now_ms=given.now) is None, "its bucket still runs"
    given.now += 20_000
    txns = 0
    while (txn := job.evict(given.state, [job_id], now_ms=given.now)) is not None:
        assert len(txn.ops) <= limits.TXN_OPS
        given.commit(txn)
        txns += 1
    assert txns == 3, "close the bucket, most of the tasks, the rest and the job"
    assert given.state.count("job") == given.state.count("task") == given.state.count("spec") == 0
