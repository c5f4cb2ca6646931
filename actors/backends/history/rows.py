"""Rows of the history's tables, made from what the node sends: one list of values per column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from actors.backends.history.schema import TABLES, Table
from actors.core.history import EndedJob, EndedTask, Happened, Item, NodeSample
from actors.model.job import Output, Summary

__all__ = ["columns_of"]

_TABLES: Final = {table.name: table for table in TABLES}
_RECORD: Final = msgspec.msgpack.Encoder()
_JSON: Final = msgspec.json.Encoder()
_Row = tuple[str, tuple[Any, ...]]


def columns_of(items: Iterable[Item]) -> Iterator[tuple[Table, list[list[Any]]]]:
    """Yield each table that gets rows, with its columns."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for item in items:
        for name, row in _rows(item):
            rows.setdefault(name, []).append(row)
    for name, of_table in rows.items():
        yield _TABLES[name], [list(column) for column in zip(*of_table, strict=True)]


def _rows(item: Item) -> Iterator[_Row]:
    match item:
        case EndedJob():
            yield "jobs", _job(item)
            if item.tasks is None:
                yield from _attempts(item.id, 0, item.job.last)
                yield from _output(item.id, 0, item.output, item.job.since_ms)
        case EndedTask(job_id, index, task, output):
            yield "tasks", _task(item)
            yield from _attempts(job_id, index, task.last)
            yield from _output(job_id, index, output, task.since_ms)
        case Happened(e):
            data = _json(e.data)
            yield "events", (e.revision, e.k, e.time_ms, e.type, e.subject, data, e.trace)
        case NodeSample():
            yield "node_samples", msgspec.structs.astuple(item)


def _job(item: EndedJob) -> tuple[Any, ...]:
    job, totals = item.job, item.tasks
    last = job.last[-1] if job.last and totals is None else None
    ended_ms = job.since_ms
    return (
        item.id,
        item.revision,
        job.name,
        job.type,
        job.state,
        job.reason,
        job.detail,
        last.exit_code if last else None,
        last.signal if last else None,
        _json(job.labels),
        last.node if last else None,
        job.priority,
        job.tasks,
        totals.attempts if totals else job.n,
        job.submitted_ms,
        job.started_ms or None,
        ended_ms,
        (job.started_ms or ended_ms) - job.submitted_ms,
        ended_ms - job.started_ms if job.started_ms else None,
        totals.cpu_ms if totals else sum(s.cpu_ms for s in job.last),
        totals.max_rss_bytes if totals else max((s.max_rss_bytes for s in job.last), default=0),
        job.retry_of,
        job.principal,
        _RECORD.encode(item),
    )


def _task(item: EndedTask) -> tuple[Any, ...]:
    task = item.task
    return (
        item.job_id,
        item.index,
        task.state,
        task.reason,
        task.n,
        sum(summary.cpu_ms for summary in task.last),
        max((summary.max_rss_bytes for summary in task.last), default=0),
        task.since_ms,
        _RECORD.encode(item),
    )


def _attempts(job_id: str, task: int, last: tuple[Summary, ...]) -> Iterator[_Row]:
    for s in last:
        ran_ms = s.ended_ms - s.started_ms
        what = (s.n, s.outcome, s.reason, s.detail, s.node, s.started_ms, s.ended_ms, ran_ms)
        used = (s.exit_code, s.signal, s.cpu_ms, s.max_rss_bytes)
        yield "attempts", (job_id, task, *what, *used)


def _output(job_id: str, task: int, output: Output | None, ended_ms: int) -> Iterator[_Row]:
    if output is not None:
        value = output.json.decode() if output.json is not None else None
        yield "outputs", (job_id, task, value, output.size_bytes, output.digest, ended_ms)


def _json(value: Any) -> str:
    return _JSON.encode(value).decode()
