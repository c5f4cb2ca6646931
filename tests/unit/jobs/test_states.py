"""The state tables: each row is taken by a decision, and nothing else is possible."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from actors.core import job, task_set
from actors.core.job.states import ATTEMPT, JOB, NEW, TASK, Transition, first, move
from actors.model import keys
from actors.model.ids import make_id
from actors.model.job import TERMINAL, Job, JobState, Task
from actors.model.spec import Concurrency, JobSpec, NodeLost, OnLimit, Retry, Trigger
from tests.unit.jobs.given import Given

STATES = get_args(JobState)


def _record(table: tuple[Transition, ...], state: Any) -> Job | Task:
    if table is TASK:
        return Task(state=state, since_ms=1)
    return Job(state=state, since_ms=1, name="x", type="command", submitted_ms=1)


@pytest.mark.parametrize("table", [JOB, TASK])
def test_every_row_moves_and_every_other_step_asserts(table: tuple[Transition, ...]) -> None:
    rows = set(table)
    causes = {row.cause for row in table}
    for source, cause, target in itertools.product(STATES, causes, STATES):
        record = _record(table, source)
        if Transition(source, cause, target) in rows:
            moved = move(record, cause, target, now_ms=7, reason="r")
            assert (moved.state, moved.since_ms, moved.reason) == (target, 7, "r")
        else:
            with pytest.raises(AssertionError):
                move(record, cause, target, now_ms=7)


@pytest.mark.parametrize(("noun", "table"), [(Job, JOB), (Task, TASK)])
def test_what_a_record_begins_as(noun: type[Job] | type[Task], table: Any) -> None:
    begins = {(row.cause, row.target) for row in table if row.source == NEW}
    for cause, state in itertools.product({cause for cause, _ in begins}, STATES):
        if (cause, state) in begins:
            assert first(noun, cause, state) == state
        else:
            with pytest.raises(AssertionError):
                first(noun, cause, state)


@pytest.mark.parametrize("table", [JOB, TASK, ATTEMPT])
def test_terminal_is_terminal(table: tuple[Transition, ...]) -> None:
    ends = TERMINAL | {"lost"}
    assert not [row for row in table if row.source in ends]
    assert {row.source for row in table} - {NEW} <= {row.target for row in table}


def _timers(given: Given) -> None:
    """Jobs that end by a cancel or a timer before they run."""
    _cancel(given, given.accept(trigger=Trigger(delay_ms=10_000)))
    for timer in ("expires_ms", "total_timeout_ms"):  # over while it waits to be tried again
        late = given.accept(**{timer: 9}, schedule_timeout_ms=5, retry=Retry(2, jitter="none"))
        given.due(keys.job(late))
        given.due(keys.job(late))
    given.due(keys.job(given.accept(expires_ms=1)))
    given.due(keys.job(given.accept(total_timeout_ms=1)))
    given.due(keys.job(given.accept(schedule_timeout_ms=1, retry=Retry(2))))
    _cancel(given, given.accept())


def _runs(given: Given) -> None:
    """Jobs that run: retry, requeue, each end, and both ways of being stopped."""
    at_once = job.accept(
        given.state,
        JobSpec(name="x", type="command"),
        make_id(given.now, 10**6),
        now_ms=given.now,
        principal="p",
        body_hash="h",
        claim_with=job.Claimant("n0", given.session, 0, "s1"),
    )
    given.commit(at_once)
    running = given.accept(retry=Retry(3, delay_ms=1), node_lost=NodeLost(0, "requeue"))
    given.finish(given.claim(running), "failed")
    given.due(keys.job(running))
    lost = given.claim(running)
    given.commit(job.lost_by_own_node(given.state, lost, now_ms=given.now, rand=0))
    given.finish(given.claim(running))
    given.finish(given.claim(given.accept()), "failed")
    for end in ("cancel", "total_timeout"):
        stopped = given.accept(total_timeout_ms=50)
        attempt = given.claim(stopped)
        if end == "cancel":
            _cancel(given, stopped)
        else:
            given.due(keys.job(stopped))
        given.finish(attempt, "cancelled", "killed")


def _keys(given: Given) -> None:
    """Jobs behind a concurrency key."""
    attempt = given.claim(given.accept(concurrency=_one_of("k")))
    later = given.accept(concurrency=_one_of("k"), trigger=Trigger(delay_ms=1))
    given.due(keys.job(later))
    _cancel(given, given.accept(concurrency=_one_of("k")))
    given.due(keys.job(given.accept(concurrency=_one_of("k"), expires_ms=1)))
    given.due(keys.job(given.accept(concurrency=_one_of("k"), total_timeout_ms=1)))
    policies: tuple[OnLimit, ...] = ("fail", "cancel_new")
    for policy in policies:
        given.due(keys.job(given.accept(concurrency=_one_of("k", policy))))
        racing = given.accept(concurrency=_one_of("r", policy))  # pending when another takes it
        winner = given.claim(given.accept(concurrency=_one_of("r")))
        given.due(keys.job(racing))
        given.finish(winner)
    given.finish(attempt)
    given.due(keys.job(later))


def _fan_outs(given: Given) -> None:
    """Tasks: retry, requeue, each end; a fan-out that is cancelled, one that times out, expires."""
    sets = given.accept(tasks=6, retry=Retry(2, delay_ms=1), node_lost=NodeLost(0, "requeue"))
    _advance(given, sets)
    given.finish(given.claim(sets, 0))
    given.finish(given.claim(sets, 1), "failed")
    given.due(keys.task(sets, 1))
    given.finish(given.claim(sets, 1), "failed")
    lost = given.claim(sets, 2)
    given.commit(job.lost_by_own_node(given.state, lost, now_ms=given.now, rand=0))
    given.finish(given.claim(sets, 3), "failed")
    attempt = given.claim(sets, 4)
    _cancel(given, sets)
    given.finish(attempt, "cancelled", "killed")
    _advance(given, sets)
    _advance(given, sets)
    timed = given.accept(tasks=2, schedule_timeout_ms=1, retry=Retry(2, delay_ms=1, jitter="none"))
    _advance(given, timed)
    for _ in range(3):
        given.due(keys.task(timed, 0))
    expired = given.accept(tasks=2, expires_ms=1)
    _advance(given, expired)
    given.due(keys.job(expired))
    _advance(given, expired)
    _advance(given, expired)


def _cancel(given: Given, job_id: str) -> None:
    given.commit(job.cancel(given.state, job_id, "user", given.now))


def _advance(given: Given, job_id: str) -> None:
    given.commit(task_set.advance(given.state, job_id, given.now))


def _one_of(key: str, policy: OnLimit = "queue") -> tuple[Concurrency, ...]:
    return (Concurrency(key, 1, policy),)


def test_the_decisions_take_every_row() -> None:
    """The tables hold no row that no decision takes, so the docs show nothing that can't happen."""
    given = Given()
    taken: dict[Any, set[tuple[str, str]]] = {Job: set(), Task: set()}
    apply = given.state.apply

    def watched(txn: Any) -> Any:
        before = {op_key: given.state.get(op_key) for op_key, _ in txn.ops}
        result = apply(txn)
        for op_key, old in before.items():
            new = given.state.get(op_key)
            if new is not None and type(new.noun) in taken:
                source = NEW if old is None else old.noun.state
                if source != new.noun.state:
                    taken[type(new.noun)].add((source, new.noun.state))
        return result

    given.state.apply = watched  # type: ignore[method-assign]
    for exercise in (_timers, _runs, _keys, _fan_outs):
        exercise(given)
    assert {(row.source, row.target) for row in JOB} - taken[Job] == set()
    assert {(row.source, row.target) for row in TASK} - taken[Task] == set()
