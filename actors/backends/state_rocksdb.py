"""The state image in RocksDB: the extra for nodes that write much.

Rows are `k<key>` -> revision, checksum, value; the mark is `m`. A batch is one WriteBatch, not
synced: after a power loss RocksDB keeps a prefix of the batches and the log holds the rest.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from actors.core import image
from actors.core.ports import Row, StoredState
from actors.errors import ConfigError, Corrupt, DataDirectory, JobdError, ReadOnly, StorageFailed

__all__ = ["RocksdbStateStore"]

_MARK: Final = b"m"
_ROW: Final = b"k"
_ROWS_END: Final = b"l"
_HEAD: Final = struct.Struct(">QI")


class RocksdbStateStore:
    """A StateStore in a RocksDB directory. Any one thread at a time."""

    def __init__(self, library: Any, path: Path) -> None:
        self._library = library  # the module rocksdict: an extra, loaded by who opens a store
        self._db = library.Rdict(str(path), _options(library))
        self._path = path
        self._mark = image.EMPTY

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create. Raises ConfigError (extra missing), Corrupt, DataDirectory, ReadOnly."""
        try:
            import rocksdict
        except ImportError as error:
            raise ConfigError(
                "the store engine rocksdb is not installed",
                remedy="Run: pip install 'jobd-cluster[rocksdb]'",
            ) from error
        with _errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            store = cls(rocksdict, path)
            stored = store._db.get(_MARK)
        if stored is not None:
            try:
                store._mark = image.decode_mark(stored)
            except JobdError:
                store.close()
                raise
        return store

    def load(self) -> StoredState:
        """Return the image. Raises Corrupt, also at the end of the rows when they don't add up."""
        mark = self._mark
        rows = image.checked_rows(mark, self._stored(b"", None))
        return image.stored_state(mark, rows)

    def _stored(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, int, bytes, int]]:
        last = _ROWS_END if end is None else _ROW + end
        with _errors(self._path):
            cursor = self._db.iter()
            cursor.seek(_ROW + start)
            while cursor.valid() and (key := cursor.key()) < last:
                yield _unpack(key[len(_ROW) :], cursor.value())
                cursor.next()
            cursor.status()  # raises when it ended on an error and not at the end

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
        write = self._library.WriteBatch(raw_mode=True)
        puts: dict[bytes, tuple[int, int]] = {}
        for key, row in batch.items():
            if row.value is not None:
                check = image.row_check(key, row.revision, row.value)
                puts[key] = (row.revision, check)
                write.put(_ROW + key, _HEAD.pack(row.revision, check) + row.value)
        with _errors(self._path):
            old = self._places(list(batch))
            for key in old.keys() - puts.keys():
                write.delete(_ROW + key)
            mark = image.advance(
                self._mark,
                old,
                puts,
                applied_index=applied_index,
                revision=revision,
                sessions=sessions,
                position=position,
            )
            write.put(_MARK, image.encode_mark(mark))
            self._db.write(write)
        self._mark = mark

    def _places(self, keys: list[bytes]) -> dict[bytes, tuple[int, int]]:
        if not keys:
            return {}
        values = self._db.get([_ROW + key for key in keys])
        return {
            key: _HEAD.unpack_from(value)
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    def flush(self) -> None:
        """Return when everything written survives a power loss: the WAL is synced."""
        with _errors(self._path):
            self._db.flush_wal(sync=True)

    def get(self, key: str) -> Row | None:
        """Return one row, checked. Raises Corrupt."""
        stored = key.encode()
        with _errors(self._path):
            value = self._db.get(_ROW + stored)
        return None if value is None else image.checked_row(*_unpack(stored, value))

    def scan(self, start: str, end: str | None = None, *, limit: int | None = None) -> list[Row]:
        """Return rows of [start, end) in key order, checked. Raises Corrupt."""
        found = self._stored(start.encode(), None if end is None else end.encode())
        return [image.checked_row(*row) for row in islice(found, limit)]

    def checkpoint(self, dest: Path) -> None:
        """Write a consistent, durable copy (hard links) that opens as a store of this engine."""
        with _errors(dest):
            dest.parent.mkdir(parents=True, exist_ok=True)
            self._db.flush_wal(sync=True)
            self._library.Checkpoint(self._db).create_checkpoint(str(dest))

    def digest(self) -> str:
        """Return a digest of revision and rows, equal in every engine for the same content."""
        return self._mark.digest

    def stats(self) -> dict[str, int]:
        """Return `keys`, `bytes` on disk and `stalled` (1 while RocksDB holds writes back)."""
        stalled = self._db.property_int_value("rocksdb.is-write-stopped")
        return {
            "keys": self._mark.keys,
            "bytes": sum(f.stat().st_size for f in self._path.iterdir() if f.is_file()),
            "stalled": int(stalled or 0),
        }

    def close(self) -> None:
        """Release the files."""
        with _errors(self._path):
            self._db.close()


def _options(library: Any) -> Any:
    options = library.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_background_jobs(1)  # the node has few cores and other work for them
    options.set_keep_log_file_num(2)
    options.set_paranoid_checks(True)
    return options


def _unpack(key: bytes, stored: bytes) -> tuple[bytes, int, bytes, int]:
    if len(stored) < _HEAD.size:
        raise Corrupt(f"state image: row {key!r} is cut short", remedy=image.REMEDY)
    revision, check = _HEAD.unpack_from(stored)
    return key, revision, stored[_HEAD.size :], check


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn RocksDB's errors, which are told apart by their text, into JobD's."""
    try:
        yield
    except (JobdError, OSError):
        raise
    except Exception as error:  # rocksdict raises bare Exception
        text = str(error)
        what = f"state image {path}: {text}"
        if os.strerror(errno.ENOSPC) in text or os.strerror(errno.EDQUOT) in text:
            raise ReadOnly(what, remedy="Free space on the disk of the data directory.") from error
        if "LOCK" in text or "lock" in text:
            raise DataDirectory(what, remedy="Another process has it open.") from error
        if text.startswith("IO error"):
            raise StorageFailed(what) from error
        raise Corrupt(what, remedy=image.REMEDY) from error
