"""The due index against a plain map, and what a due time means."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core import job, task_set
from actors.core.due import DueIndex
from actors.core.retry import backoff_ms, delay_ms
from actors.model import keys
from actors.model.spec import Concurrency, Retry, Trigger
from tests.unit.jobs.given import Given

_KEYS = st.sampled_from("abcdef")
_STEPS = st.lists(
    st.one_of(
        st.tuples(_KEYS, st.one_of(st.none(), st.integers(0, 50))),
        st.tuples(st.just("pop"), st.integers(0, 50)),
    ),
    max_size=60,
)


@given(_STEPS)
def test_it_pops_what_is_due_in_time_order(steps: list[tuple[str, int | None]]) -> None:
    index, plain = DueIndex(), dict[str, int]()
    for key, time in steps:
        if key == "pop":
            assert time is not None
            due = sorted((at, key) for key, at in plain.items() if at <= time)
            assert index.pop(time) == [key for _, key in due]
            for _, key in due:
                del plain[key]
        else:
            index.set(key, time)
            plain.pop(key, None)
            if time is not None:
                plain[key] = time
        assert index.next_ms == min(plain.values(), default=None)


_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "trigger": st.builds(Trigger, delay_ms=st.integers(1, 50)),
        "expires_ms": st.integers(1, 60),
        "total_timeout_ms": st.integers(1, 60),
        "schedule_timeout_ms": st.integers(1, 60),
        "retry": st.builds(Retry, max_attempts=st.integers(1, 3), delay_ms=st.integers(1, 30)),
        "tasks": st.integers(2, 3),
        "concurrency": st.sampled_from([(Concurrency("k", 1),), (Concurrency("k", 1, "fail"),)]),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_SPECS, min_size=1, max_size=3), st.lists(st.integers(0, 40), max_size=25))
def test_due_decides_exactly_from_due_at_on(specs: list[dict[str, Any]], moves: list[int]) -> None:
    """D5 of core/job/due.py, in the states that random decisions lead to."""
    world = Given()
    jobs = [world.accept(**spec) for spec in specs]
    for number, move in enumerate(moves):
        world.now += move
        for key in _entities(world, jobs):
            due_ms = job.due_at(world.state, key)
            decided = job.due(world.state, key, now_ms=world.now, rand=0.5)
            assert (decided is not None) == (due_ms is not None and due_ms <= world.now)
            if due_ms is not None and due_ms > world.now:
                assert job.due(world.state, key, now_ms=due_ms, rand=0.5) is not None
        _decide(world, jobs, number + move)


def _entities(world: Given, jobs: list[str]) -> list[str]:
    tasks = [key for job_id in jobs for key, _ in world.state.scan(keys.tasks_of(job_id))]
    return [keys.job(job_id) for job_id in jobs] + tasks


def _decide(world: Given, jobs: list[str], choice: int) -> None:
    """Commit one decision or another."""
    entities = _entities(world, jobs)
    key = entities[choice % len(entities)]
    if (txn := job.due(world.state, key, now_ms=world.now, rand=0.5)) is not None:
        world.commit(txn)
        return
    job_id = key.split("/")[1]
    if (txn := task_set.advance(world.state, job_id, world.now)) is not None:
        world.commit(txn)
    elif (running := next(world.state.scan("attempt/"), None)) is not None and choice % 2:
        world.finish(running[0], "failed" if choice % 3 else "succeeded")
    else:
        index = int(keys.last(key)) if keys.kind(key) == "task" else 0
        claimed = world.try_claim(job_id, index)
        if not isinstance(claimed, job.Wait):
            world.commit(claimed)


@given(
    st.builds(
        Retry,
        max_attempts=st.just(9),
        backoff=st.sampled_from(["constant", "linear", "exponential", "fibonacci"]),
        delay_ms=st.integers(0, 10**6),
        factor=st.floats(1, 1000),
        max_delay_ms=st.integers(0, 10**8),
        jitter=st.sampled_from(["none", "full", "equal", "decorrelated"]),
    ),
    st.integers(1, 10**6),
    st.integers(0, 10**9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_bounded_whatever_the_policy(
    retry: Retry, fails: int, previous_ms: int, rand: float
) -> None:
    assert 0 <= backoff_ms(retry, fails) <= retry.max_delay_ms
    assert 0 <= delay_ms(retry, fails, previous_ms, rand) <= retry.max_delay_ms
