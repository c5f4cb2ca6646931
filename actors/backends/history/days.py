"""Old days of the history: moved to Parquet, dropped at the end of their retention.

    parquet/<table>/dt=<YYYY-MM-DD>/<n>.parquet

Which files there are is in the database. A file is written and synced first; then its rows leave
the table, its name comes into the list and the views are made anew, in one transaction. So a row is
in one place at every moment, and a file that no list names is a remainder and goes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from actors import limits
from actors.backends.history.file import HistoryFile
from actors.backends.history.schema import TABLES, Table
from actors.model.ids import id_time_ms, is_id

__all__ = ["Days", "day_of"]

_log: Final = logging.getLogger(__name__)
_HOT_DAYS: Final = 7  # whole days that stay in the file: they are what is looked at
_PARQUET: Final = "(format parquet, compression zstd)"


class Days:
    """The days of a file. `keep_days` is the retention; without `parquet` all stay in the file."""

    def __init__(self, file: HistoryFile, *, keep_days: int, parquet: bool) -> None:
        self._file = file
        self._keep = timedelta(days=keep_days)
        self._parquet = parquet
        self._relocate()
        self._clean()

    def retain(self, now_ms: int) -> None:
        """Move what is not hot any more, drop what is too old, and the oldest day of too much."""
        today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        self._drop_before(today - self._keep)
        if self._parquet:
            for table in TABLES:
                for day in self._hot_days(table, today - timedelta(days=_HOT_DAYS)):
                    self._export(table, day)
        while self.size_bytes() > limits.HISTORY_KEEP_BYTES:
            oldest = self._oldest()
            if oldest is None or oldest >= today:
                return
            _log.warning("the history is over %d bytes: %s goes", limits.HISTORY_KEEP_BYTES, oldest)
            self._drop_before(oldest + timedelta(days=1))

    def forget(self, job_id: str) -> bool:
        """Delete a job's rows, also from Parquet; its events stay, as those of the store do."""
        found = False
        for table in TABLES:
            if not table.job:
                continue
            where = f"where {table.job} = $1"
            with self._file.transaction():
                gone = self._value(f"delete from {table.stored} {where}", [job_id])
            found = found or bool(gone)
            for path in self._paths(table.name, day_of(job_id)):
                source = f"read_parquet('{_quoted(path)}')"
                if self._value(f"select count(*) from {source} {where}", [job_id]):
                    self._rewrite(table, path, f"from {source} where {table.job} <> $1", [job_id])
                    found = True
        return found

    def size_bytes(self) -> int:
        """Return how much the rows take on disk, in the file and in Parquet."""
        used = self._value("select block_size * used_blocks from pragma_database_size()")
        listed = self._value("select coalesce(sum(bytes), 0) from internal.files")
        return int(used) + int(listed)

    # -- moving

    def _export(self, table: Table, day: date) -> None:
        path = self._new_path(table, day)
        of_day = f"{table.day}::DATE = $1"
        try:
            with self._file.transaction():
                self._copy(f"from {table.stored} where {of_day} order by {table.day}", [day], path)
                self._run(f"delete from {table.stored} where {of_day}", [day])
                self._list(table, day, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _rewrite(self, table: Table, old: str, rows: str, values: list[Any]) -> None:
        day = self._value("select day from internal.files where path = $1", [old])
        path = self._new_path(table, day)
        try:
            with self._file.transaction():
                self._copy(rows, values, path)
                self._run("delete from internal.files where path = $1", [old])
                self._list(table, day, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        Path(old).unlink(missing_ok=True)

    def _copy(self, rows: str, values: list[Any], path: Path) -> None:
        """Write rows to a file, durable when this returns."""
        self._run(f"copy ({rows}) to '{_quoted(path)}' {_PARQUET}", values)
        for each in (path, path.parent):
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _list(self, table: Table, day: date, path: Path) -> None:
        size = path.stat().st_size
        self._run(
            "insert into internal.files values ($1, $2, $3, $4)", [table.name, day, str(path), size]
        )
        self._make_views(table)

    def _make_views(self, table: Table) -> None:
        for view in table.views(self._paths(table.name, date.min)):
            self._run(view)

    def _new_path(self, table: Table, day: date) -> Path:
        path = self._file.parquet / table.name / f"dt={day}" / f"{time.time_ns()}.parquet"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    # -- dropping

    def _drop_before(self, day: date) -> None:
        dropped = [
            str(row[0])
            for row in self._rows("select path from internal.files where day < $1", [day])
        ]
        old = [table for table in TABLES if self._hot_days(table, day)]
        if not dropped and not old:
            return
        with self._file.transaction():
            for table in old:
                self._run(f"delete from {table.stored} where {table.day} < $1", [day])
            self._run("delete from internal.files where day < $1", [day])
            for table in TABLES:
                self._make_views(table)
        for path in dropped:
            self._remove(Path(path))

    def _relocate(self) -> None:
        """Follow the data directory: the list and the views have whole paths, of where it was."""
        here = f"{self._file.parquet}/"
        listed = [str(row[0]) for row in self._rows("select path from internal.files")]
        moved = [path for path in listed if not path.startswith(here)]
        if not moved:
            return
        with self._file.transaction():
            for path in moved:
                now = self._file.parquet.joinpath(*Path(path).parts[-3:])
                self._run("update internal.files set path = $2 where path = $1", [path, str(now)])
            for table in TABLES:
                self._make_views(table)

    def _clean(self) -> None:
        """Remove files that no list names: remainders of a crash."""
        listed = {str(row[0]) for row in self._rows("select path from internal.files")}
        for path in self._file.parquet.glob("*/*/*"):
            if str(path) not in listed:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()

    # -- looking

    def _hot_days(self, table: Table, before: date) -> list[date]:
        """Return the days before another one of which rows are in the file."""
        days = f"select distinct {table.day}::DATE from {table.stored} where {table.day} < $1"
        return sorted(row[0] for row in self._rows(days, [before]))

    def _oldest(self) -> date | None:
        days = [self._value("select min(day) from internal.files")]
        days += [self._value(f"select min({t.day})::DATE from {t.stored}") for t in TABLES]
        return min((day for day in days if day is not None), default=None)

    def _paths(self, name: str, day: date) -> list[str]:
        sql = "select path from internal.files where name = $1 and day >= $2 order by day, path"
        return [str(row[0]) for row in self._rows(sql, [name, day])]

    def _rows(self, sql: str, values: list[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        yield from self._file.connection.execute(sql, values or []).fetchall()

    def _value(self, sql: str, values: list[Any] | None = None) -> Any:
        return next(self._rows(sql, values))[0]

    def _run(self, sql: str, values: list[Any] | None = None) -> None:
        self._file.connection.execute(sql, values or [])


def day_of(job_id: str) -> date:
    """Return a day that is not after the end of a job, by its id: the one before it was made."""
    made_ms = id_time_ms(job_id) if is_id(job_id) else 0
    return datetime.fromtimestamp(made_ms / 1000, UTC).date() - timedelta(days=1)


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")
