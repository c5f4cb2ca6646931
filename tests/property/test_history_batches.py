"""Batches between positions hold everything once, however they are cut and wherever one goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import limits
from actors.core.history import (
    EndedJob,
    EndedTask,
    Happened,
    NodeSample,
    Position,
    next_batch,
    read_items,
)
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event, EventDraft
from actors.model.ids import make_id
from actors.model.job import Job, Task
from actors.model.spec import JobSpec

Commit = tuple[list[int], int]  # the sizes of the fan-outs that end in it, its number of events


def state_of(commits: list[Commit]) -> tuple[State, list[tuple[int, str]], list[Event]]:
    """Return a state with these commits, what ended in it, and its events."""
    state, ended = State(), []
    number = 0
    for fan_outs, events in commits:
        ops: list[tuple[str, bytes | None]] = []
        ids = []
        for tasks in fan_outs:
            number += 1
            job_id = make_id(1_800_000_000_000, number)
            ids.append(job_id)
            job = Job(
                state="failed", since_ms=9, name="j", type="command", submitted_ms=1, tasks=tasks
            )
            spec = JobSpec(name="j", type="command", environment={"KEY": "hush-hush"})
            ops += [(keys.job(job_id), encode(job)), (keys.spec(job_id), encode(spec))]
            if tasks > 1:
                task = encode(Task(state="failed", since_ms=9))
                ops += [(keys.task(job_id, index), task) for index in range(tasks)]
        drafts = tuple(EventDraft("custom", str(k)) for k in range(events))
        result = state.apply(Txn((), tuple(ops), drafts, now_ms=1))
        assert isinstance(result, Committed)
        ended += [(result.revision, job_id) for job_id in ids]
    return state, ended, state.take_events()


def identity(item: Any) -> tuple[object, ...]:
    match item:
        case EndedJob():
            return ("job", item.id)
        case EndedTask():
            return ("task", item.job_id, item.index)
        case Happened(event):
            return ("event", event.revision, event.k)
    return ("sample", item.time_ms)


COMMITS = st.lists(
    st.tuples(st.lists(st.integers(1, 6), max_size=3), st.integers(0, 4)), min_size=1, max_size=12
)


@given(COMMITS, st.integers(1, 7), st.integers(1, 13))
@settings(max_examples=150, deadline=None)
def test_all_goes_in_once_and_in_order(commits: list[Commit], rows: int, step: int) -> None:
    state, ended, events = state_of(commits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "HISTORY_BATCH_ROWS", rows)
        position, found = Position(), []
        while position < Position(state.revision + 1):
            upto = min(position.revision + step, state.revision + 1)
            upto = max(upto, position.revision + 1)
            left = [e for e in ended if e[0] >= position.revision]  # as the actor keeps them
            behind = [e for e in events if position.revision <= e.revision < upto]
            batch = next_batch(state, position, left, behind, upto)
            assert batch.after == position < batch.position <= Position(upto)
            found += read_items(batch)
            position = batch.position
    wanted = sum(len(fan_outs) for fan_outs, _ in commits) + len(events)
    wanted += sum(tasks for fan_outs, _ in commits for tasks in fan_outs if tasks > 1)
    names = [identity(item) for item in found]
    assert len(names) == len(set(names)) == wanted
    told = [item.event.revision for item in found if isinstance(item, Happened)]
    assert told == sorted(told)


@given(COMMITS, st.data())
@settings(max_examples=50, deadline=None)
def test_a_job_that_was_deleted_meanwhile_hides_no_other(commits: list[Commit], data: Any) -> None:
    state, ended, _ = state_of(commits)
    gone = data.draw(st.sets(st.sampled_from(ended or [(0, "")])))
    for _, job_id in gone:
        state.apply(Txn((), ((keys.job(job_id), None),), now_ms=2))
    batch = next_batch(state, Position(), ended, (), state.revision + 1)
    jobs = [item.id for item in read_items(batch) if isinstance(item, EndedJob)]
    assert jobs == [job_id for revision, job_id in sorted(ended) if (revision, job_id) not in gone]


def test_values_of_the_environment_stay_out() -> None:
    state, ended, events = state_of([([1], 1)])
    batch = next_batch(state, Position(), ended, events, 9)
    assert b"hush-hush" not in msgspec.msgpack.encode(batch)
    (job,) = (item for item in read_items(batch) if isinstance(item, EndedJob))
    assert job.spec.environment == {"KEY": ""}


def test_one_item_goes_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HISTORY_BATCH_BYTES", 1)
    state, ended, events = state_of([([1], 2), ([1], 0)])
    sample = NodeSample(1, "n", 1, 1, 0, 0, 0.0, 0)
    batch = next_batch(state, Position(), ended, events, 9, (sample,))
    assert [identity(item)[0] for item in read_items(batch)] == ["sample", "job"]
    batch = next_batch(state, batch.position, ended, events, 9)
    assert [identity(item)[0] for item in read_items(batch)] == ["event", "event"]
    assert batch.position == Position(2)
