"""Writes the history: batches of the node, each once.

Order: the rows and the position behind them are one transaction, durable when it returns (DuckDB
syncs its WAL at a commit). A batch that does not begin where history ends changes nothing, so a
repeat after a lost answer is told how far history is.
"""

from __future__ import annotations

from pathlib import Path

from actors.backends.history.days import Days
from actors.backends.history.file import HistoryFile, refusing
from actors.backends.history.rows import columns_of
from actors.core.history import Batch, Position, read_items

__all__ = ["HistoryStore"]


class HistoryStore:
    """Implements HistoryWriting over a file; see Days for retention."""

    def __init__(self, file: HistoryFile, *, keep_days: int, parquet: bool) -> None:
        self._file = file
        self._days = Days(file, keep_days=keep_days, parquet=parquet)
        self._position = self._read_position()

    def position(self, revision: int) -> Position:
        """Return how far history is; one beyond the store's revision is moved aside before."""
        if self._position.revision > revision + 1:
            self._file.begin_anew(
                f"it goes to revision {self._position.revision}, the store to {revision}"
            )
            self._position = self._read_position()
        return self._position

    def write(self, batch: Batch) -> Position:
        """Store a batch that begins where history ends; return the position then."""
        if batch.after != self._position:
            return self._position
        position = batch.position
        with refusing("the history can't be written"), self._file.transaction() as connection:
            for table, columns in columns_of(read_items(batch)):
                connection.execute(table.insert(), columns)
            connection.execute(
                "update internal.meta set revision = ?, job = ?, task = ?",
                [position.revision, position.job, position.task],
            )
        self._position = position
        return position

    def delete(self, job_id: str) -> bool:
        """Forget a job; return whether it was there."""
        with refusing(f"job {job_id} can't be taken out of the history"):
            return self._days.forget(job_id)

    def retain(self, now_ms: int) -> None:
        """Move old days to Parquet, and drop what is past the retention or the size."""
        with refusing("the history can't be retained"):
            self._days.retain(now_ms)

    def copy(self, directory: Path) -> None:
        """Copy the history into a new directory."""
        self._file.copy(directory)

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _read_position(self) -> Position:
        with refusing("the history can't be read"):
            row = self._file.connection.execute("select revision, job, task from internal.meta")
            revision, job, task = row.fetchone() or (0, "", 0)
        return Position(revision, job, task)
