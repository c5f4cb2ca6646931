"""The file of the history: opened alone, of a known version, and locked down.

A file that is damaged or newer than this version is moved aside, with a warning: history is derived
as far as the store still has it, and no job depends on it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

from actors import limits
from actors.backends.disk import refusing as disk_refusing
from actors.backends.file_copy import copy_start, link
from actors.backends.history.schema import TABLES, VERSION
from actors.errors import JobdError, ReadOnly, StorageFailed, Unavailable

__all__ = ["HistoryFile", "refusing"]

_log: Final = logging.getLogger(__name__)
_NAME: Final = "jobd.duckdb"
_LOCKED_S: Final = 10.0  # as long as an earlier process may take to end
_RETRY_S: Final = 0.05
_NO_ROOM: Final = ("No space left", "Disk quota exceeded")
_META: Final = """
    create schema internal;
    create table internal.meta (version INTEGER, revision BIGINT, job VARCHAR, task INTEGER);
    create table internal.files (name VARCHAR, day DATE, path VARCHAR, bytes BIGINT);
"""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Have what DuckDB can't do be ReadOnly when there is no room, else StorageFailed.

    Unavailable where a query of a user has the memory just now.
    """
    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if any(sign in text for sign in _NO_ROOM):
            raise ReadOnly(f"{what}: {text}", remedy="free some space on its disk") from error
        raise StorageFailed(f"{what}: {text}") from error
    except MemoryError as error:
        raise Unavailable(f"{what}: its process has no memory left for it") from error


class HistoryFile:
    """An open file; `connection` writes, `cursor()` gives connections for other threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = self._open()  # runs nothing, so that any thread may branch off at any time
        self.connection = self._root.cursor()

    @property
    def parquet(self) -> Path:
        """Where the days are that have left the file."""
        return self.directory / "parquet"

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return another connection to the file, for one thread."""
        return self._root.cursor()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Do the writes of a block together, durable at its end, or not at all."""
        self.connection.begin()
        try:
            yield self.connection
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise

    def close(self) -> None:
        """Release the file."""
        self.connection.close()
        self._root.close()

    @disk_refusing("the copy of the history")
    def copy(self, directory: Path) -> None:
        """Copy file and Parquet while nobody writes. Raises ReadOnly, StorageFailed."""
        with suppress(duckdb.Error):  # somebody reads: then what the WAL has is copied as it is
            self.connection.execute("checkpoint")
        directory.mkdir(mode=0o700)
        for name in (_NAME, f"{_NAME}.wal"):
            path = self.directory / name
            if path.exists():
                copy_start(path, directory / name, path.stat().st_size)
        for path in self.parquet.glob("*/*/*.parquet"):
            link(path, directory / path.relative_to(self.directory))

    def begin_anew(self, reason: str) -> None:
        """Move the file aside and begin an empty one."""
        self.close()
        self._move_aside(reason)
        self._root = self._open()
        self.connection = self._root.cursor()

    # -- opening

    def _open(self) -> duckdb.DuckDBPyConnection:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.parquet.mkdir(mode=0o700, exist_ok=True)
        try:
            return self._checked(self._connect())
        except duckdb.Error as error:
            if any(sign in str(error) for sign in _NO_ROOM):
                raise ReadOnly(f"history: {error}", remedy="free some space on its disk") from error
            self._move_aside(str(error).splitlines()[0])
        except _Foreign as error:
            self._move_aside(str(error))
        return self._checked(self._connect())

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for an earlier process to be gone. Raises duckdb.Error."""
        deadline = time.monotonic() + _LOCKED_S
        while True:
            try:
                return duckdb.connect(str(self.directory / _NAME), config=self._settings())
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise
                if time.monotonic() >= deadline:
                    raise Unavailable(f"the history is in use: {error}") from error
            time.sleep(_RETRY_S)

    def _settings(self) -> dict[str, str | bool | int | float | list[str]]:
        return {
            "memory_limit": f"{limits.HISTORY_MEMORY_MIB}MiB",
            "threads": 1,
            "temp_directory": str(self.directory / "spill"),
            "max_temp_directory_size": f"{limits.HISTORY_SPILL_BYTES}B",
            "allow_community_extensions": False,
            "allow_unsigned_extensions": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def _checked(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Make the tables or check their version, then lock. Raises duckdb.Error, _Foreign."""
        try:
            found = connection.execute(
                "select count(*) from duckdb_tables() where schema_name = 'internal'"
            ).fetchone()
            if found == (0,):
                self._create(connection)
            version = connection.execute("select version from internal.meta").fetchone()
            if version != (VERSION,):
                raise _Foreign(f"its version is {version}, this one reads {VERSION}")
            self._lock_down(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _create(connection: duckdb.DuckDBPyConnection) -> None:
        connection.begin()
        connection.execute(_META)
        for table in TABLES:
            connection.execute(table.create())
            for view in table.views([]):
                connection.execute(view)
        connection.execute("insert into internal.meta values (?, 0, '', 0)", [VERSION])
        connection.commit()

    def _lock_down(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let SQL reach nothing but this file and its Parquet, and never change that."""
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set allowed_directories = [?]", [f"{self.parquet}/"])
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")

    def _move_aside(self, reason: str) -> None:
        aside = time.strftime("aside-%Y%m%dT%H%M%S", time.gmtime())
        moved = self.directory / f"{_NAME}.{aside}"
        _log.error("the history can't be used (%s): moved to %s, a new one begins", reason, moved)
        for path in self.directory.glob(f"{_NAME}*"):
            if ".aside-" not in path.name:
                path.rename(path.with_name(path.name.replace(_NAME, moved.name)))
        if any(self.parquet.iterdir()):
            self.parquet.rename(self.directory / f"parquet.{aside}")
            self.parquet.mkdir(mode=0o700)


class _Foreign(JobdError):
    """The file is of another version."""
