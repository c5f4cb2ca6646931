"""What the doors look up in the history: one job, a page of jobs, a page of events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import duckdb
import msgspec

from actors import limits
from actors.backends.history.days import day_of
from actors.backends.history.file import HistoryFile, refusing
from actors.core.history import WHOLE, Batch, EndedJob, EndedTask, Position, batch_of
from actors.core.history_port import (
    EventsFound,
    FindJob,
    FoundJob,
    JobPage,
    ListEvents,
    ListJobs,
    ReadRange,
)
from actors.model.event import Event

__all__ = ["HistoryReading"]

_JOB: Final = msgspec.msgpack.Decoder(EndedJob)
_TASK: Final = msgspec.msgpack.Decoder(EndedTask)
_TASKS_PER_ANSWER: Final = 2_000
_EVENT: Final = "revision, k, epoch_ms(time), type, subject, data, trace"
_RANGE_ROWS: Final = limits.HISTORY_BATCH_ROWS + 1
_T = TypeVar("_T")


class HistoryReading:
    """Implements HistoryRecords. Its own connection; one thread at a time."""

    def __init__(self, file: HistoryFile) -> None:
        self._file = file

    def find(self, query: FindJob) -> FoundJob | None:
        """Return a job, from the first place that has it."""
        with refusing("the history can't be read"), self._file.cursor() as connection:
            for table in self._places(connection, "jobs", query.job_id):
                found = connection.execute(
                    f"select record from {table} where id = $1 limit 1", [query.job_id]
                ).fetchone()
                if found is not None:
                    job = _JOB.decode(found[0])
                    tasks, more = self._tasks(connection, query) if job.tasks else ([], False)
                    return FoundJob(job, tuple(tasks), more)
        return None

    def _tasks(
        self, connection: duckdb.DuckDBPyConnection, query: FindJob
    ) -> tuple[list[EndedTask], bool]:
        rows: list[tuple[Any, ...]] = []
        for table in self._places(connection, "tasks", query.job_id):
            rows += connection.execute(
                f"select task, record from {table} where job_id = $1 and task >= $2"
                f" order by task limit {_TASKS_PER_ANSWER + 1}",
                [query.job_id, query.task],
            ).fetchall()
        rows.sort()
        page, more = _fitting((row[1] for row in rows), _TASKS_PER_ANSWER)
        return [_TASK.decode(record) for record in page], more

    def list(self, query: ListJobs) -> JobPage:
        """Return jobs, the newest first."""
        where, values = _conditions(query)
        sql = f"select record from internal.jobs {where} order by id desc limit {query.limit + 1}"
        with refusing("the history can't be read"), self._file.cursor() as connection:
            records = (row[0] for row in connection.execute(sql, values).fetchall())
            page, more = _fitting(records, query.limit)
        return JobPage(tuple(_JOB.decode(record) for record in page), more)

    def events(self, query: ListEvents) -> EventsFound:
        """Return events, the oldest first."""
        revision, k = query.after
        where = ["(revision > $1 or (revision = $1 and k > $2))"]
        values: list[Any] = [revision, k]
        if query.subject is not None:
            values.append(query.subject)
            where.append(f"subject = ${len(values)}")
        if query.types:
            globs = []
            for glob in query.types:
                values.append(glob)
                globs.append(f"type glob ${len(values)}")
            where.append(f"({' or '.join(globs)})")
        with refusing("the history can't be read"), self._file.cursor() as connection:
            first = connection.execute("select min(revision) from internal.events").fetchone()
            rows = connection.execute(
                f"select {_EVENT} from internal.events where {' and '.join(where)}"
                f" order by revision, k limit {query.limit + 1}",
                values,
            ).fetchall()
        page, more = _fitting(rows, query.limit, lambda row: len(row[5]))
        oldest = first[0] if first and first[0] is not None else 1 << 62
        return EventsFound(tuple(_event(row) for row in page), oldest, more)

    def range(self, query: ReadRange) -> Batch:
        """Return what follows a position, up to where this history is."""
        after = query.after
        with refusing("the history can't be read"), self._file.cursor() as connection:
            row = connection.execute("select revision from internal.meta").fetchone()
            upto = row[0] if row else 0
            jobs = connection.execute(
                "select revision, id, record from internal.jobs where revision >= $1"
                f" and revision < $2 order by revision, id limit {_RANGE_ROWS}",
                [after.revision, upto],
            ).fetchall()
            if len(jobs) == _RANGE_ROWS:  # of the last revision there may be more
                upto = jobs[-1][0]
            events = connection.execute(
                f"select {_EVENT} from internal.events where revision >= $1 and revision < $2"
                f" order by revision, k limit {_RANGE_ROWS}",
                [after.revision, upto],
            ).fetchall()
            if len(events) == _RANGE_ROWS:
                upto = events[-1][0]
            ended = {job_id: record for _, job_id, record in jobs}

            def items_of(
                revision: int, job_id: str, after: Position
            ) -> Iterator[tuple[Position, EndedJob | EndedTask]]:
                job = _JOB.decode(ended[job_id])
                if job.tasks is not None:
                    yield from self._members(connection, revision, job_id, after)
                behind = Position(revision, job_id, WHOLE)
                if behind > after:
                    yield behind, job

            found = [(revision, job_id) for revision, job_id, _ in jobs]
            return batch_of(items_of, after, found, map(_event, events), upto)

    @staticmethod
    def _members(
        connection: duckdb.DuckDBPyConnection, revision: int, job_id: str, after: Position
    ) -> Iterator[tuple[Position, EndedTask]]:
        """Yield the tasks of a job behind a position; no more than a batch takes."""
        begun = (after.revision, after.job) == (revision, job_id)
        rows = connection.execute(
            "select task, record from internal.tasks where job_id = $1 and task >= $2"
            f" order by task limit {limits.HISTORY_BATCH_ROWS + 1}",
            [job_id, after.task if begun else 0],
        ).fetchall()
        for index, record in rows:
            yield Position(revision, job_id, index + 1), _TASK.decode(record)

    def _places(
        self, connection: duckdb.DuckDBPyConnection, name: str, job_id: str
    ) -> Iterator[str]:
        """Yield where rows of a job may be: the table, then the days from its id's on."""
        yield f"internal.hot_{name}"
        files = connection.execute(
            "select path from internal.files where name = $1 and day >= $2 order by day",
            [name, day_of(job_id)],
        ).fetchall()
        for (path,) in files:
            yield f"read_parquet('{path.replace(chr(39), chr(39) * 2)}')"


def _event(row: tuple[Any, ...]) -> Event:
    revision, k, time_ms, type_, subject, data, trace = row
    return Event(revision, k, time_ms, type_, subject, msgspec.json.decode(data), trace)


def _conditions(query: ListJobs) -> tuple[str, list[Any]]:
    """Return the `where` of a list of jobs, and the values of its parameters."""
    values: list[Any] = []

    def value(it: Any) -> str:
        values.append(it)
        return f"${len(values)}"

    where: list[str] = []
    for column, wanted in (
        ("state", query.states),
        ("type", query.types),
        ("name", query.names),
    ):
        if wanted:
            where.append(f"list_contains({value(list(wanted))}::VARCHAR[], {column})")
    for name, of_name in query.labels.items():
        label = f"labels[{value(name)}]"
        if None in of_name:
            where.append(f"{label} is not null")
        else:
            where.append(f"list_contains({value(list(of_name))}::VARCHAR[], {label})")
    if query.before:
        where.append(f"id < {value(query.before)}")
    if query.oldest:
        where.append(f"id >= {value(query.oldest)}")
    if query.prefix:
        where.append(f"starts_with(id, {value(query.prefix)})")
    if query.part is not None:
        part = value(query.part)
        where.append(f"(contains(name, {part}) or starts_with(id, {part}))")
    if query.since_ms:
        where.append(f"submitted_at >= {value(_moment(query.since_ms))}")
    if query.until_ms:
        where.append(f"submitted_at < {value(_moment(query.until_ms))}")
    return (f"where {' and '.join(where)}" if where else ""), values


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(milliseconds=time_ms)


def _fitting(rows: Iterable[_T], limit: int, size: Any = len) -> tuple[list[_T], bool]:
    """Return as many of the first rows as one answer takes, and whether there are more."""
    page: list[_T] = []
    total = 0
    for row in rows:
        total += size(row)
        if len(page) == limit or (page and total > limits.HISTORY_BATCH_BYTES):
            return page, True
        page.append(row)
    return page, False
