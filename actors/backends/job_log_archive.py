"""The archive of job logs: shared segments of small ones, files of large ones, and their index.

The layout and its invariants are told in `actors/backends/job_logs.py`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import google_crc32c
import msgspec

from actors.backends.file_copy import copy_segments, link
from actors.backends.job_supervisor.spool import (
    chunk_name,
    chunks_behind,
    chunks_of,
    directory_name,
)

__all__ = ["Archive", "Archived", "copy_archive"]

VERSION: Final = 1
_SEGMENT_BYTES: Final = 16 * 1024 * 1024
_ENTRY: Final = struct.Struct("<III")  # body length, crc32c of header and body, header length
_MAX_HEADER: Final = 4096
_HEADER_FILE: Final = "header"  # of a large log
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (
    attempt TEXT PRIMARY KEY, job TEXT NOT NULL, ended_ms INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL,
    segment INTEGER, offset INTEGER, bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS log_job ON log (job);
CREATE INDEX IF NOT EXISTS log_segment ON log (segment);
"""


class Archived(NamedTuple):
    """One archived log; `segment` None: files of its own."""

    attempt: str
    ended_ms: int
    first_seq: int
    next_seq: int
    segment: int | None = None
    offset: int = 0  # of its entry in the segment
    bytes: int = 0  # of the entry, or of the files


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """What an archived log says of itself."""

    version: int
    attempt: str
    ended_ms: int
    first_seq: int
    next_seq: int


class Archive:
    """The archive of one data directory. Not for several threads."""

    def __init__(self, root: Path) -> None:
        self._packed = root / "packed"
        self._large = root / "large"
        for directory in (self._packed, self._large):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._index_path = root / "index.sqlite"
        self._index = self._open_index()
        segments = self._segments()
        if segments:  # what was packed just before a crash may not be in the index
            number, path = segments[-1]
            for log in _entries(number, path.read_bytes()):
                if self.find(log.attempt) is None:
                    self._enter(log)
        self._segment = segments[-1][0] + 1 if segments else 0  # never behind a torn tail
        self._fd = self._open_segment()

    def close(self) -> None:
        """Release the files."""
        os.close(self._fd)
        self._index.close()

    def find(self, attempt: str) -> Archived | None:
        """Return where an attempt's log is."""
        row = self._index.execute(
            "SELECT attempt, ended_ms, first_seq, next_seq, segment, offset, bytes FROM log"
            " WHERE attempt = ?",
            (attempt,),
        ).fetchone()
        return None if row is None else Archived(*row)

    def chunks(self, log: Archived, from_seq: int) -> Iterator[bytes]:
        """Yield an archived log's chunks that reach beyond `from_seq`.

        What can't be read is left out.
        """
        if log.segment is None:
            for path in chunks_behind(self._large / directory_name(log.attempt), from_seq):
                yield path.read_bytes()
            return
        try:
            with self._segment_path(log.segment).open("rb") as segment:
                segment.seek(log.offset)
                entry = segment.read(log.bytes)
        except FileNotFoundError:
            return
        _, _, header_size = _ENTRY.unpack_from(entry)
        yield entry[_ENTRY.size + header_size :]

    def is_moving(self, attempt: str) -> bool:
        """Whether a part of its files came here already, before a crash."""
        return (self._large / directory_name(attempt)).exists()

    def pack(self, log: Archived, body: bytes) -> None:
        """Append a small log to the current segment."""
        header = _header(log)
        if os.fstat(self._fd).st_size >= _SEGMENT_BYTES:
            os.close(self._fd)
            self._segment += 1
            self._fd = self._open_segment()
        start = os.fstat(self._fd).st_size
        checked = header + body
        entry = _ENTRY.pack(len(body), google_crc32c.value(checked), len(header)) + checked
        if os.write(self._fd, entry) != len(entry):
            os.ftruncate(self._fd, start)
            raise OSError("the disk took only a part of a log")
        self._enter(log._replace(segment=self._segment, offset=start, bytes=len(entry)))

    def move(self, log: Archived, chunks: list[tuple[int, Path]]) -> None:
        """Take over a large log's chunk files; a part may have come before a crash."""
        directory = self._large / directory_name(log.attempt)
        directory.mkdir(mode=0o700, exist_ok=True)
        for seq, path in chunks:
            path.rename(directory / chunk_name(seq))
        taken = chunks_of(directory)
        log = log._replace(first_seq=taken[0][0], bytes=_size(taken))
        (directory / _HEADER_FILE).write_bytes(_header(log))  # last: it says that all is here
        self._enter(log)

    def delete(self, job_id: str) -> None:
        """Remove a job's logs: files go, packed bytes are overwritten."""
        rows = self._index.execute(
            "SELECT attempt, segment, offset, bytes FROM log WHERE job = ?", (job_id,)
        ).fetchall()
        for attempt, segment, offset, size in rows:
            if segment is None:
                shutil.rmtree(self._large / directory_name(attempt), ignore_errors=True)
                continue
            with self._segment_path(segment).open("r+b") as file:
                file.seek(offset)
                body, _, header = _ENTRY.unpack(file.read(_ENTRY.size))
                file.seek(offset)  # the lengths stay, so that what follows is found
                file.write(_ENTRY.pack(body, 0, header) + bytes(size - _ENTRY.size))
        with self._index:
            self._index.execute("DELETE FROM log WHERE job = ?", (job_id,))

    def prune(self, before_ms: int, keep_bytes: int) -> int:
        """Remove what ended before a time, then the oldest until `keep_bytes` hold the rest."""
        units = self._units()
        total = sum(size for _, size, _ in units)
        gone = 0
        for ended_ms, size, key in units:
            if ended_ms >= before_ms and total <= keep_bytes:
                break
            total -= size
            gone += self._drop(key)
        return gone

    def shrink(self, needed_bytes: int) -> int:
        """Remove the oldest until `needed_bytes` are freed, or nothing is left."""
        gone = 0
        for _, size, key in self._units():
            if needed_bytes <= 0:
                break
            needed_bytes -= size
            gone += self._drop(key)
        return gone

    def _units(self) -> list[tuple[int, int, int | str]]:
        """What can be removed at once, oldest first: (last end, bytes, segment or attempt)."""
        units: list[tuple[int, int, int | str]] = []
        for number, path in self._segments():
            (ended,) = self._index.execute(
                "SELECT max(ended_ms) FROM log WHERE segment = ?", (number,)
            ).fetchone()
            if number != self._segment or ended is not None:
                units.append((ended or 0, path.stat().st_size, number))
        units += self._index.execute(
            "SELECT ended_ms, bytes, attempt FROM log WHERE segment IS NULL"
        ).fetchall()
        return sorted(units, key=lambda unit: unit[0])

    def _drop(self, key: int | str) -> int:
        if isinstance(key, str):
            shutil.rmtree(self._large / directory_name(key), ignore_errors=True)
            condition = "attempt = ?"
        else:
            if key == self._segment:
                os.close(self._fd)
                self._segment += 1
                self._fd = self._open_segment()
            self._segment_path(key).unlink(missing_ok=True)
            condition = "segment = ?"
        with self._index:
            return self._index.execute(f"DELETE FROM log WHERE {condition}", (key,)).rowcount  # noqa: S608

    # -- segments and index

    def _segment_path(self, number: int) -> Path:
        return self._packed / f"{number:08d}.seg"

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self._packed.glob("*.seg"))

    def _open_segment(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._segment_path(self._segment), flags, 0o600)

    def _enter(self, log: Archived) -> None:
        _, job, *_ = log.attempt.split("/")
        with self._index:
            self._index.execute(
                "INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (log.attempt, job, *log[1:]),
            )

    def _open_index(self) -> sqlite3.Connection:
        """Open the index; one that is missing or damaged is built from what it tells of."""
        if self._index_path.exists():
            with suppress(sqlite3.DatabaseError):
                index = self._connect()
                if index.execute("PRAGMA quick_check").fetchone() == ("ok",):
                    return index
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._index_path}{suffix}").unlink(missing_ok=True)
        self._index = self._connect()
        for log in self._scan():
            self._enter(log)
        return self._index

    def _connect(self) -> sqlite3.Connection:
        index = sqlite3.connect(self._index_path, check_same_thread=False)
        # WAL without an fsync per commit: a power loss may lose the last entries, never the index.
        index.execute("PRAGMA journal_mode = WAL")
        index.execute("PRAGMA synchronous = NORMAL")
        index.executescript(_SCHEMA)
        return index

    def _scan(self) -> Iterator[Archived]:
        """Yield what the archive's files tell of themselves."""
        for number, path in self._segments():
            yield from _entries(number, path.read_bytes())
        for path in sorted(self._large.glob(f"*/{_HEADER_FILE}")):
            header = msgspec.json.decode(path.read_bytes(), type=_Header)
            yield _archived(header, bytes=_size(chunks_of(path.parent)))


def copy_archive(root: Path, dest: Path) -> None:
    """Copy an archive that its owner goes on writing; the index is left out: it is built anew.

    A job that is deleted meanwhile may take its packed log out of the copy too. Raises OSError.
    """
    copy_segments(sorted((root / "packed").glob("*.seg")), dest / "packed")
    for header in sorted((root / "large").glob(f"*/{_HEADER_FILE}")):  # it says that all is here
        with suppress(FileNotFoundError):
            for path in sorted(header.parent.iterdir()):
                link(path, dest / "large" / header.parent.name / path.name)


def _header(log: Archived) -> bytes:
    return msgspec.json.encode(
        _Header(VERSION, log.attempt, log.ended_ms, log.first_seq, log.next_seq)
    )


def _archived(header: _Header, **place: int) -> Archived:
    return Archived(header.attempt, header.ended_ms, header.first_seq, header.next_seq, **place)


def _size(chunks: list[tuple[int, Path]]) -> int:
    return sum(path.stat().st_size for _, path in chunks)


def _entries(segment: int, data: bytes) -> Iterator[Archived]:
    """Yield the sound entries of a segment; deleted ones fail their crc, as intended."""
    offset = 0
    while offset + _ENTRY.size <= len(data):
        size, crc, header_size = _ENTRY.unpack_from(data, offset)
        body = offset + _ENTRY.size + header_size
        end = body + size
        if header_size > _MAX_HEADER or end > len(data):
            return  # a torn tail: nothing behind it was ever in the index
        if google_crc32c.value(data[offset + _ENTRY.size : end]) == crc:
            header = msgspec.json.decode(data[offset + _ENTRY.size : body], type=_Header)
            yield _archived(header, segment=segment, offset=offset, bytes=end - offset)
        offset = end
