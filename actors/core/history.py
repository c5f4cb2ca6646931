"""What goes into history, and in which order: the ended jobs of the state, and all events.

Rules of this file:
Y1  A position says what is in history: all of the revisions below its own, and of its own revision
    the jobs below `job` and the tasks of `job` below `task`. Positions only grow.
Y2  A batch is what lies between two positions. It is stored in one transaction with the later one,
    and only behind the earlier one, so each row is there exactly once however often it is sent.
Y3  A job goes in when it has ended. It never changes after that, so any later look at the state
    makes the same rows: what was lost on the way is made anew.
Y4  Values of environment variables never go in: history is read by more people, and kept longer,
    than the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.view import View
from actors.model import keys
from actors.model.event import Event
from actors.model.job import Job, Output, Task
from actors.model.spec import JobSpec

__all__ = [
    "WHOLE",
    "Batch",
    "EndedJob",
    "EndedTask",
    "Happened",
    "Item",
    "NodeSample",
    "Position",
    "TaskTotals",
    "batch_of",
    "next_batch",
    "read_items",
    "watermark",
]

WHOLE: Final = limits.TASKS + 1  # above every task: the job's own row is in too


class Position(msgspec.Struct, frozen=True, array_like=True, order=True):
    """How far history is (Y1)."""

    revision: int = 0
    job: str = ""
    task: int = 0


class TaskTotals(msgspec.Struct, frozen=True, array_like=True):
    """What the tasks of a fan-out come to: how many are in each state, and what they used."""

    states: dict[str, int]
    attempts: int
    cpu_ms: int
    max_rss_bytes: int


class EndedJob(msgspec.Struct, frozen=True, array_like=True, tag="job"):
    """A terminal job. `tasks` sums up a fan-out; `output` is of a job without one."""

    id: str
    revision: int
    job: Job
    spec: JobSpec
    tasks: TaskTotals | None
    output: Output | None


class EndedTask(msgspec.Struct, frozen=True, array_like=True, tag="task"):
    """One member of a fan-out, and its output."""

    job_id: str
    index: int
    task: Task
    output: Output | None


class Happened(msgspec.Struct, frozen=True, array_like=True, tag="event"):
    """One event."""

    event: Event


class NodeSample(msgspec.Struct, frozen=True, array_like=True, tag="sample"):
    """How a node was doing at a moment. `cpu` is cores in use since the sample before."""

    time_ms: int
    node: str
    revision: int
    slots: int
    running: int
    queued: int
    cpu: float
    rss_bytes: int


Item = EndedJob | EndedTask | Happened | NodeSample


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Items between two positions (Y2), encoded each by itself."""

    after: Position
    position: Position
    items: tuple[msgspec.Raw, ...]


ItemsOf = Callable[[int, str, Position], Iterable[tuple[Position, Item]]]
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Item)


def next_batch(
    view: View,
    after: Position,
    ended: Iterable[tuple[int, str]],
    events: Iterable[Event],
    upto: int,
    samples: Iterable[NodeSample] = (),
) -> Batch:
    """Return what follows a position in the state, as `batch_of` does."""
    return batch_of(partial(_items, view), after, ended, events, upto, samples)


def batch_of(
    items_of: ItemsOf,
    after: Position,
    ended: Iterable[tuple[int, str]],
    events: Iterable[Event],
    upto: int,
    samples: Iterable[NodeSample] = (),
) -> Batch:
    """Return what follows a position, up to a revision (exclusive) or to the bounds of a batch.

    `ended` are (revision, job id) of terminal jobs and `events` the events, both from `after` on,
    in order and complete up to `upto`. A batch takes at least one item, however large.
    `items_of(revision, job id, after)` gives the items of a job, each with the position behind it.
    """
    filling = _Filling(samples)
    position = after
    of_jobs = {r: [job for _, job in group] for r, group in groupby(ended, itemgetter(0))}
    of_events = {r: list(group) for r, group in groupby(events, attrgetter("revision"))}
    for revision in sorted(r for r in of_jobs.keys() | of_events.keys() if r < upto):
        for job_id in sorted(of_jobs.get(revision, ())):
            for behind, item in items_of(revision, job_id, after):
                if not filling.add([item]):
                    return Batch(after, position, filling.items)
                position = behind
        if not filling.add([Happened(event) for event in of_events.get(revision, ())]):
            return Batch(after, position, filling.items)
        position = Position(revision + 1)
    return Batch(after, max(after, Position(upto)), filling.items)


def read_items(batch: Batch) -> list[Item]:
    """Return the items of a batch. Raises msgspec.MsgspecError."""
    return [_DECODER.decode(raw) for raw in batch.items]


def watermark(recorded: Mapping[str, int], voters: Sequence[str]) -> int:
    """Return the revision that a majority of the voters has in history, by what is known of each.

    Only records that ended below it are evicted: then no loss of a minority loses the history.
    """
    known = sorted((recorded.get(voter, 0) for voter in voters), reverse=True)
    return known[len(voters) // 2]


def _items(
    view: View, revision: int, job_id: str, after: Position
) -> Iterator[tuple[Position, Item]]:
    """Yield the items of a job that are not in yet, each with the position behind it."""
    entry = view.get(keys.job(job_id))
    spec = view.get(keys.spec(job_id))
    if entry is None or spec is None:  # deleted meanwhile
        return
    job: Job = entry.noun
    members: list[Task] = []
    for key, member in view.scan(keys.tasks_of(job_id)) if job.tasks > 1 else ():
        index = int(keys.last(key))
        members.append(member.noun)
        behind = Position(revision, job_id, index + 1)
        if behind > after:
            output = _output(view, job_id, index)
            yield behind, EndedTask(job_id, index, member.noun, output)
    behind = Position(revision, job_id, WHOLE)
    if behind > after:
        totals = _totals(members) if job.tasks > 1 else None
        output = _output(view, job_id, 0) if job.tasks == 1 else None
        kept = _without_secrets(spec.noun)
        yield behind, EndedJob(job_id, entry.revision, job, kept, totals, output)


def _totals(members: list[Task]) -> TaskTotals:
    kept = [summary for member in members for summary in member.last]
    return TaskTotals(
        states=dict(Counter(member.state for member in members)),
        attempts=sum(member.n for member in members),
        cpu_ms=sum(summary.cpu_ms for summary in kept),
        max_rss_bytes=max((summary.max_rss_bytes for summary in kept), default=0),
    )


def _output(view: View, job_id: str, task: int) -> Output | None:
    entry = view.get(keys.output(job_id, task))
    return entry.noun if entry is not None else None


def _without_secrets(spec: JobSpec) -> JobSpec:
    """Keep the names of the environment's variables, not their values (Y4)."""
    if not spec.environment:
        return spec
    return msgspec.structs.replace(spec, environment=dict.fromkeys(spec.environment, ""))


class _Filling:
    """A batch that is being filled, within its bounds."""

    def __init__(self, samples: Iterable[NodeSample]) -> None:
        self._raws: list[msgspec.Raw] = [_raw(sample) for sample in samples]
        self._bytes = 0
        self._any = False

    @property
    def items(self) -> tuple[msgspec.Raw, ...]:
        return tuple(self._raws)

    def add(self, items: list[Any]) -> bool:
        """Add items that belong together; False when they don't fit any more."""
        raws = [_raw(item) for item in items]
        size = sum(map(len, raws))
        full = (
            len(self._raws) + len(raws) > limits.HISTORY_BATCH_ROWS
            or self._bytes + size > limits.HISTORY_BATCH_BYTES
        )
        if full and self._any:
            return False
        self._raws += raws
        self._bytes += size
        self._any = self._any or bool(raws)
        return True


def _raw(item: Item) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(item))
