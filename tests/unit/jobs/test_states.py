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
FULL = (Concurrency("k", 1),)


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


def _exercise(given: Given) -> None:
    """Walk through every transition that the decisions make."""
    state = given.state

    def advance(job_id: str) -> None:
        given.commit(task_set.advance(state, job_id, given.now))

    def cancel(job_id: str) -> None:
        given.commit(job.cancel(state, job_id, "user", given.now))

    def key(job_id: str) -> str:
        return keys.job(job_id)

    # jobs: by trigger, key, retry, requeue, timers
    cancel(given.accept(trigger=Trigger(delay_ms=10_000)))
    for timer in ("expires_ms", "total_timeout_ms"):  # over while it waits to be tried again
        late = given.accept(**{timer: 9}, schedule_timeout_ms=5, retry=Retry(2, jitter="none"))
        given.due(key(late))
        given.due(key(late))
    given.due(key(given.accept(expires_ms=1)))
    given.due(key(given.accept(total_timeout_ms=1)))
    cancel(given.accept())
    at_once = job.accept(
        state,
        JobSpec(name="x", type="command"),
        make_id(given.now, 10**6),
        now_ms=given.now,
        principal="p",
        body_hash="h",
        claim_with=job.Claimant("n0", given.session, 0, "s1"),
    )
    given.commit(at_once)
    requeue = NodeLost(0, "requeue")
    running = given.accept(concurrency=FULL, retry=Retry(3, delay_ms=1), node_lost=requeue)
    attempt = given.claim(running)
    later = given.accept(concurrency=FULL, trigger=Trigger(delay_ms=1))
    given.due(key(later))
    cancel(given.accept(concurrency=FULL))
    given.due(key(given.accept(concurrency=FULL, expires_ms=1)))
    given.due(key(given.accept(concurrency=FULL, total_timeout_ms=1)))
    policies: tuple[OnLimit, ...] = ("fail", "cancel_new")
    for policy in policies:
        given.due(key(given.accept(concurrency=(Concurrency("k", 1, policy),))))
    given.finish(attempt, "failed")
    given.due(key(later))
    given.due(key(running))
    attempt = given.claim(running)
    given.commit(job.lost_by_own_node(state, attempt, now_ms=given.now, rand=0))
    given.finish(given.claim(running))
    given.finish(given.claim(given.accept()), "failed")
    given.due(key(given.accept(schedule_timeout_ms=1, retry=Retry(2))))
    for end in ("cancel", "total_timeout"):
        stopped = given.accept(total_timeout_ms=50)
        attempt = given.claim(stopped)
        if end == "cancel":
            cancel(stopped)
        else:
            given.due(key(stopped))
        given.finish(attempt, "cancelled", "killed")
    for policy in policies:  # a pending one whose key was taken by another
        racing = given.accept(concurrency=(Concurrency("r", 1, policy),))
        winner = given.accept(concurrency=(Concurrency("r", 1),))
        held = given.claim(winner)
        given.due(key(racing))
        given.finish(held)
    # a fan-out and its tasks
    sets = given.accept(tasks=6, retry=Retry(2, delay_ms=1), node_lost=NodeLost(0, "requeue"))
    advance(sets)
    given.finish(given.claim(sets, 0))
    given.finish(given.claim(sets, 1), "failed")
    given.due(keys.task(sets, 1))
    given.finish(given.claim(sets, 1), "failed")
    attempt = given.claim(sets, 2)
    given.commit(job.lost_by_own_node(state, attempt, now_ms=given.now, rand=0))
    given.finish(given.claim(sets, 3), "failed")
    attempt = given.claim(sets, 4)
    cancel(sets)
    given.finish(attempt, "cancelled", "killed")
    advance(sets)
    advance(sets)
    timed = given.accept(tasks=2, schedule_timeout_ms=1, retry=Retry(2, delay_ms=1, jitter="none"))
    advance(timed)
    for _ in range(3):
        given.due(keys.task(timed, 0))
    expired = given.accept(tasks=2, expires_ms=1)
    advance(expired)
    given.due(key(expired))
    advance(expired)
    advance(expired)


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
    _exercise(given)
    assert {(row.source, row.target) for row in JOB} - taken[Job] == set()
    assert {(row.source, row.target) for row in TASK} - taken[Task] == set()
