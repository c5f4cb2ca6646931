"""The state image in SQLite: the embedded default.

One table `kv` (a row per key, with its checksum) and one row of `meta` (the mark). WAL with
synchronous=NORMAL keeps a prefix of the batches through a power loss; the log behind it holds the
rest, so only `flush` syncs. One connection does everything and holds the file exclusively: no
second one can commit during a checkpoint (sqlite.org/wal.html#walresetbug, fixed in 3.51.3), and
no shared-memory file is needed.

A batch is a few multi-row statements, never `executemany`: that takes the GIL anew for each row,
and beside a busy event loop each time costs up to a switch interval.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from actors.core import image
from actors.core.ports import Row, StoredState
from actors.errors import Corrupt, DataDirectory, ReadOnly, StorageFailed

__all__ = ["SqliteStateStore"]

_ROWS: Final = 2_000  # of one statement; four parameters each, SQLite takes 32,766
_SCHEMA: Final = """
CREATE TABLE kv (
    key BLOB PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), mark BLOB NOT NULL) STRICT;
"""
_PRIMARY: Final = 0xFF  # the low byte of an extended result code


class SqliteStateStore:
    """A StateStore in one SQLite file (and its `-wal`). Any one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._mark = image.EMPTY

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create. Raises Corrupt, DataDirectory, ReadOnly, StorageFailed."""
        with _errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                path, timeout=0.5, isolation_level=None, check_same_thread=False
            )
            try:
                store = cls(connection, path)
                store._begin()
            except BaseException:
                connection.close()
                raise
        return store

    def _begin(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode=EXCLUSIVE")
        (mode,) = execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise DataDirectory(f"{self._path}: the file system refuses SQLite's WAL mode")
        execute("PRAGMA synchronous=NORMAL")
        execute("PRAGMA cell_size_check=ON")
        if not execute("SELECT 1 FROM sqlite_schema").fetchone():
            execute("BEGIN IMMEDIATE")
            for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                execute(statement)
            execute("INSERT INTO meta VALUES (0, ?)", (image.encode_mark(image.EMPTY),))
            execute("COMMIT")
        self._mark = self._read_mark()

    def _read_mark(self) -> image.Mark:
        found = self._connection.execute("SELECT mark FROM meta").fetchall()
        if len(found) != 1:
            raise Corrupt(f"{self._path}: no mark", remedy=image.REMEDY)
        return image.decode_mark(found[0][0])

    def load(self) -> StoredState:
        """Return the image. Raises Corrupt, also at the end of the rows when they don't add up."""
        mark = self._mark
        return image.stored_state(mark, self._all())

    def _all(self) -> Iterator[Row]:
        with _errors(self._path):
            yield from image.checked_rows(self._mark, self._select("ORDER BY key", ()))

    def _select(self, where: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        return self._connection.execute(
            f"SELECT key, revision, value, crc FROM kv {where}",  # noqa: S608 (constants only)
            values,
        )

    def write(
        self,
        rows: Iterable[Row],
        *,
        applied_index: int,
        revision: int,
        sessions: bytes,
        position: bytes,
    ) -> None:
        """Write rows and the mark in one atomic batch, not yet durable.

        Raises ReadOnly with nothing written, StorageFailed, Corrupt.
        """
        batch = image.last_of_each(rows)
        puts = {
            key: (row.revision, image.row_check(key, row.revision, row.value))
            for key, row in batch.items()
            if row.value is not None
        }
        with _errors(self._path), self._transaction():
            old = self._places(list(batch))
            mark = image.advance(
                self._mark,
                old,
                puts,
                applied_index=applied_index,
                revision=revision,
                sessions=sessions,
                position=position,
            )
            self._put([(key, at, batch[key].value, crc) for key, (at, crc) in puts.items()])
            self._delete([key for key in old if key not in puts])
            self._connection.execute("UPDATE meta SET mark = ?", (image.encode_mark(mark),))
        self._mark = mark

    def _places(self, keys: list[bytes]) -> dict[bytes, tuple[int, int]]:
        found: dict[bytes, tuple[int, int]] = {}
        for part in _parts(keys):
            marks = ",".join("?" * len(part))
            query = f"SELECT key, revision, crc FROM kv WHERE key IN ({marks})"  # noqa: S608
            for key, revision, crc in self._connection.execute(query, part):
                found[key] = (revision, crc)
        return found

    def _put(self, rows: list[tuple[bytes, int, bytes | None, int]]) -> None:
        for part in _parts(rows):
            marks = ",".join(["(?,?,?,?)"] * len(part))
            values = [value for row in part for value in row]
            self._connection.execute(f"REPLACE INTO kv VALUES {marks}", values)  # noqa: S608

    def _delete(self, keys: list[bytes]) -> None:
        for part in _parts(keys):
            marks = ",".join("?" * len(part))
            self._connection.execute(f"DELETE FROM kv WHERE key IN ({marks})", part)  # noqa: S608

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite rolls some errors back by itself
                self._connection.execute("ROLLBACK")
            raise

    def flush(self) -> None:
        """Return when everything written survives a power loss: the WAL is synced and applied."""
        with _errors(self._path):
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StorageFailed(f"{self._path}: another process keeps the checkpoint from ending")

    def get(self, key: str) -> Row | None:
        """Return one row, checked. Raises Corrupt."""
        with _errors(self._path):
            found = self._select("WHERE key = ?", (key.encode(),)).fetchone()
        return None if found is None else image.checked_row(*found)

    def scan(self, start: str, end: str | None = None, *, limit: int | None = None) -> list[Row]:
        """Return rows of [start, end) in key order, checked. Raises Corrupt."""
        where, values = "WHERE key >= ?", [start.encode()]
        if end is not None:
            where, values = where + " AND key < ?", [*values, end.encode()]
        with _errors(self._path):
            found = self._select(where + " ORDER BY key", tuple(values))
            return [image.checked_row(*row) for row in islice(found, limit)]

    def checkpoint(self, dest: Path) -> None:
        """Write a consistent, durable copy that opens as a store of the same engine."""
        part = dest.with_name(dest.name + ".part")
        with _errors(dest):
            dest.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            self._connection.execute("VACUUM INTO ?", (str(part),))
            _sync(part)
            part.replace(dest)
            _sync(dest.parent)

    def digest(self) -> str:
        """Return a digest of revision and rows, equal in every engine for the same content."""
        return self._mark.digest

    def stats(self) -> dict[str, int]:
        """Return `keys`, `bytes` on disk and `wal_bytes` among them."""
        wal = self._path.with_name(self._path.name + "-wal")
        wal_bytes = wal.stat().st_size if wal.exists() else 0
        return {
            "keys": self._mark.keys,
            "bytes": self._path.stat().st_size + wal_bytes,
            "wal_bytes": wal_bytes,
        }

    def close(self) -> None:
        """Release the files."""
        with _errors(self._path):
            self._connection.close()


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(items), _ROWS):
        yield items[at : at + _ROWS]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into JobD's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except UnicodeDecodeError as error:  # a message that quotes damaged bytes
        raise Corrupt(f"state image {path} is damaged", remedy=image.REMEDY) from error


def _translated(path: Path, error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & _PRIMARY if code is not None else None
    what = f"state image {path}: {error}"
    if primary == sqlite3.SQLITE_FULL:
        return ReadOnly(what, remedy="Free space on the disk of the data directory.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DataDirectory(what, remedy="Another process has it open; stop that one first.")
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return DataDirectory(what, remedy="The data directory must be writable for this user.")
    if primary == sqlite3.SQLITE_IOERR:
        return StorageFailed(what)
    if isinstance(error, sqlite3.DatabaseError):
        return Corrupt(what, remedy=image.REMEDY)
    return error
