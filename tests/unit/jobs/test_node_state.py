"""Cordon and drain, and what follows for what runs."""

from __future__ import annotations

import pytest

from actors import limits
from actors.core import job, node_state
from actors.core.job.slot import DRAINED, ISOLATED
from actors.core.launch import ending, late_ending
from actors.core.store.txn import Txn
from actors.core.supervisor_protocol import ExitRecord
from actors.errors import NotFound
from actors.model import keys
from actors.model.node import NodeRecord
from actors.model.spec import JobSpec, NodeLost
from tests.unit.jobs.given import NODE, Given

COMMAND = JobSpec(name="work", type="command")
RUNNING = job.Held("running")


def drain(given: Given, mode: node_state.DrainMode, by_ms: int = 0) -> list[str]:
    txn = node_state.drain(given.state, NODE, mode, by_ms=by_ms, now_ms=given.now)
    return given.commit(txn)


def record(given: Given) -> NodeRecord:
    entry = given.state.get(keys.node(NODE))
    assert entry is not None
    return entry.noun  # type: ignore[no-any-return]


def action(given: Given, attempt: str, held: job.Held | None = RUNNING, **more: bool) -> object:
    return job.slot_action(given.state, attempt, held, "s1", now_ms=given.now, **more)


def test_a_node_is_cordoned_and_let_work_again() -> None:
    given = Given()
    given.commit(node_state.cordon(given.state, NODE, now_ms=given.now))
    assert record(given) == NodeRecord("first", cordoned=True)
    assert node_state.cordon(given.state, NODE, now_ms=given.now) is None
    given.commit(node_state.uncordon(given.state, NODE, now_ms=given.now))
    assert record(given) == NodeRecord("first")


def test_a_drain_cordons_is_told_and_stays_until_taken_back() -> None:
    given = Given()
    assert drain(given, "finish", 5) == ["jobd:node:draining"]
    assert record(given) == NodeRecord("first", cordoned=True, drain="finish", drain_by_ms=5)
    drain(given, "requeue")
    given.commit(node_state.uncordon(given.state, NODE, now_ms=given.now))
    assert record(given) == NodeRecord("first")


def test_an_unknown_node_is_not_found() -> None:
    given = Given()
    with pytest.raises(NotFound):
        node_state.cordon(given.state, "nobody", now_ms=given.now)


def test_two_operators_at_once_conflict() -> None:
    given = Given()
    one = node_state.drain(given.state, NODE, "finish", by_ms=0, now_ms=given.now)
    given.commit(node_state.cordon(given.state, NODE, now_ms=given.now))
    assert given.conflicts(one)


def test_a_drain_is_done_when_nothing_runs() -> None:
    given = Given()
    attempt = given.claim(given.accept())
    drain(given, "finish")
    assert node_state.running_on(given.state, NODE) == 1
    given.finish(attempt)
    assert node_state.running_on(given.state, NODE) == 0


def test_finish_waits_until_the_deadline_and_requeue_does_not() -> None:
    given = Given()
    attempt = given.claim(given.accept())
    drain(given, "finish", given.now + 1_000)
    assert action(given, attempt) == job.Leave()
    given.now += 1_000
    assert action(given, attempt) == job.Kill(DRAINED)
    drain(given, "requeue")
    assert action(given, attempt) == job.Kill(DRAINED)
    assert action(given, attempt, None) == job.Kill(DRAINED), "a start may be under way"


def test_what_a_drain_ends_starts_anew_and_counts_nothing() -> None:
    given = Given()
    job_id = given.accept()
    attempt = given.claim(job_id)
    killed = ending(ExitRecord(reason="killed", kill_reason=DRAINED), COMMAND, None)
    given.commit(job.finish(given.state, attempt, killed, now_ms=given.now, rand=0))
    again = given.job(job_id)
    assert (again.state, again.n, again.fails, again.requeues) == ("pending", 1, 0, 0)
    assert (again.last[0].outcome, again.reason) == ("preempted", "drained")


def test_a_cancel_wins_over_a_drain() -> None:
    given = Given()
    job_id = given.accept()
    attempt = given.claim(job_id)
    given.commit(job.cancel(given.state, job_id, "please", given.now))
    killed = ending(ExitRecord(reason="killed", kill_reason=DRAINED), COMMAND, None)
    given.commit(job.finish(given.state, attempt, killed, now_ms=given.now, rand=0))
    assert given.job(job_id).state == "cancelled"


def test_cut_off_nothing_starts_and_only_what_asks_for_it_is_ended() -> None:
    given = Given()
    stays = given.claim(given.accept())
    stops = given.claim(given.accept(on_isolation="stop"), slot=1)
    assert action(given, stays, is_cut_off=True) == job.Leave()
    assert action(given, stops, is_cut_off=True) == job.Kill(ISOLATED)
    for attempt in (stays, stops):
        assert action(given, attempt, None, is_cut_off=True) == job.Leave()
        assert action(given, attempt, None) == job.Start()


@pytest.mark.parametrize("then", ["requeue", "fail"])
def test_what_was_ended_while_cut_off_counts_as_lost(then: str) -> None:
    given = Given()
    lost = NodeLost(60_000, then)  # type: ignore[arg-type]
    job_id = given.accept(on_isolation="stop", node_lost=lost)
    attempt = given.claim(job_id)
    killed = ending(ExitRecord(reason="killed", kill_reason=ISOLATED), COMMAND, None)
    given.commit(job.finish(given.state, attempt, killed, now_ms=given.now, rand=0))
    ended = given.job(job_id)
    assert ended.state == ("pending" if then == "requeue" else "failed")
    assert (ended.last[0].outcome, ended.reason) == ("lost", "node_lost")


# -- late results


def given_up(then: str = "requeue") -> tuple[Given, str, str]:
    """A job whose first attempt was lost with its node, which is back now."""
    given = Given()
    job_id = given.accept(node_lost=NodeLost(0, then))  # type: ignore[arg-type]
    attempt = given.claim(job_id)
    given.lose_node()
    given.due(attempt)
    return given, job_id, attempt


def late(given: Given, attempt: str, node: str = NODE) -> Txn | None:
    what = late_ending(ExitRecord(reason="exit", code=7, detail="x" * 5_000))
    assert what is not None
    return job.superseded(given.state, attempt, what, node=node, now_ms=given.now)


def test_a_late_result_of_an_open_job_stands_in_its_summary_once() -> None:
    given, job_id, attempt = given_up()
    assert given.commit(late(given, attempt)) == ["jobd:job:superseded"]
    after = given.job(job_id)
    assert (after.state, after.last[0].outcome, after.last[0].exit_code) == (
        "pending",
        "superseded",
        7,
    )
    assert late(given, attempt) is None


def test_a_late_result_of_an_ended_job_is_an_event_alone() -> None:
    given, job_id, attempt = given_up("fail")
    before = given.state.raw(keys.job(job_id))
    assert given.commit(late(given, attempt)) == ["jobd:job:superseded"]
    assert given.state.raw(keys.job(job_id)) == before


def test_what_is_no_late_result_is_not_told() -> None:
    given, _, attempt = given_up()
    assert late(given, attempt, "another") is None
    assert late_ending(ExitRecord(reason="killed", kill_reason="superseded")) is None
    assert late_ending(ExitRecord(reason="lost")) is None
    assert late_ending(None) is None
    ended = Given()
    done = ended.claim(ended.accept())
    assert late(ended, done) is None, "its fence stands"
    ended.finish(done)
    assert late(ended, done) is None, "it ended as it should"


def test_a_late_result_conflicts_with_what_moves_the_job_on() -> None:
    given, job_id, attempt = given_up()
    told = late(given, attempt)
    given.put_job(job_id, priority=99)
    assert given.conflicts(told)


def test_requeues_after_losses_are_bounded() -> None:
    given = Given()
    job_id = given.accept(node_lost=NodeLost(0, "requeue"))
    given.put_job(job_id, requeues=limits.REQUEUES)
    attempt = given.claim(job_id)
    txn = job.lost_by_own_node(given.state, attempt, now_ms=given.now, rand=0)
    given.commit(txn)
    assert given.job(job_id).state == "failed"
