"""Job logs on disk: read from the spool while an attempt is held, from the archive afterwards.

    <data>/joblogs/
        index.sqlite             where each archived attempt's log is
        packed/<n>.seg           small logs, one behind the other, as their chunks' bytes
        large/<job>.<t>.<n>/     the chunk files of a large log, moved as they are, then `header`

Two hundred jobs a second leave two hundred short logs a second: these share segments. A segment
entry is `[len u32][crc32c u32][header len u32][header][chunk bytes]`, little endian, the header
JSON (attempt, ended, first and next sequence number), so that a lost index is built anew.

Invariants
1. A record whose crc fails is never served: the page tells the gap in its place.
2. Archiving is repeatable: the index names a log only once its bytes are in the archive, and the
   spool is left to its owner, the job supervisor, which removes it on `Ack`.
3. A deleted log's bytes are gone: files removed, packed entries overwritten.

Everything here blocks; it is used by one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from actors.backends.disk import refusing
from actors.backends.job_log_archive import Archive, Archived
from actors.backends.job_supervisor.spool import (
    chunks_behind,
    chunks_of,
    directory_name,
    logged_seq,
    read_exit,
)
from actors.core.log_record import LogRecord, Torn, decode_record, line_count, lines_of
from actors.core.ports import LogPage
from actors.errors import NotFound
from actors.limits import LOG_CHUNK_BYTES, LOG_PAGE_BYTES

__all__ = ["JobLogs"]

_PACKED_BYTES: Final = LOG_CHUNK_BYTES  # a larger log is moved, not copied


class JobLogs:
    """The job logs of one data directory."""

    @refusing("the job logs")
    def __init__(self, data: Path) -> None:
        self._spool = data / "spool"
        self._archive = Archive(data / "joblogs")

    def close(self) -> None:
        """Release the files."""
        self._archive.close()

    def read(
        self, attempt_key: str, from_seq: int = 0, limit: int = 1000, stream: int | None = None
    ) -> LogPage:
        """Return at most `limit` lines at or above a sequence number, of one stream or of all.

        A page ends early, too, once it has LOG_PAGE_BYTES.
        Raises NotFound for an attempt that is in neither place, InvalidInput for no attempt key.
        """
        name = directory_name(attempt_key)
        archived = self._archive.find(attempt_key)
        if archived is None and (page := self._read_spool(name, from_seq, limit, stream)):
            return page
        archived = archived or self._archive.find(attempt_key)  # it moved while we looked
        if archived is None:
            raise NotFound(f"there is no log of {attempt_key}")
        chunks = self._archive.chunks(archived, from_seq)
        return _page(chunks, from_seq, limit, stream, archived.next_seq)

    @refusing("the job logs")
    def archive(self, attempt_key: str) -> None:
        """Keep a finished attempt's log beyond its spool. Raises NotFound when nothing is there.

        The disk may have had room for the log, and none for the exit record.
        """
        directory = self._spool / directory_name(attempt_key)
        if self._archive.find(attempt_key) is not None:
            return
        chunks = chunks_of(directory)
        if (exit_record := read_exit(directory)) is not None:
            ended_ms, next_seq = exit_record.ended_ms, exit_record.log_seq
        elif chunks:
            ended_ms, next_seq = chunks[-1][1].stat().st_mtime_ns // 10**6, logged_seq(directory)
        else:
            raise NotFound(f"nothing is held of {attempt_key}")
        size = sum(path.stat().st_size for _, path in chunks)
        log = Archived(attempt_key, ended_ms, chunks[0][0] if chunks else 0, next_seq)
        if size <= _PACKED_BYTES and not self._archive.is_moving(attempt_key):
            self._archive.pack(log, b"".join(path.read_bytes() for _, path in chunks))
        else:
            self._archive.move(log, chunks)

    @refusing("the job logs")
    def delete(self, job_id: str) -> None:
        """Remove the archived logs of a job."""
        self._archive.delete(job_id)

    @refusing("the job logs")
    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        """Remove archived logs that ended too long ago, then the oldest until the rest fits.

        Returns how many logs went. Packed logs go with their whole segment.
        """
        return self._archive.prune(now_ms - keep_s * 1000, keep_bytes)

    @refusing("the job logs")
    def shrink(self, needed_bytes: int) -> int:
        """Remove the oldest archived logs until this much is freed; return how many went."""
        return self._archive.shrink(needed_bytes)

    def _read_spool(
        self, name: str, from_seq: int, limit: int, stream: int | None
    ) -> LogPage | None:
        directory = self._spool / name
        if not directory.is_dir():
            return None
        exit_record = read_exit(directory)  # before the chunks: what it counts is all there
        end_seq = exit_record.log_seq if exit_record is not None else None
        try:  # the job supervisor may forget it meanwhile
            chunks = (path.read_bytes() for path in chunks_behind(directory, from_seq))
            return _page(chunks, from_seq, limit, stream, end_seq)
        except FileNotFoundError:
            return None


def _page(
    chunks: Iterable[bytes],
    from_seq: int,
    limit: int,
    stream: int | None,
    end_seq: int | None,
) -> LogPage:
    """Cut a page out of chunks' bytes; `end_seq` is None while the log grows."""
    records: list[LogRecord] = []
    gaps: list[tuple[int, int]] = []
    expected, size = from_seq, 0
    for record in _sound_records(chunks):
        behind = record.seq + line_count(record.data)
        if behind <= expected:
            continue
        if record.seq > expected:
            gaps.append((expected, record.seq))
        if stream is None or record.stream == stream:
            for line in lines_of(record, expected):
                if len(records) >= limit or size >= LOG_PAGE_BYTES:
                    return LogPage(records, line.seq, False, gaps)
                records.append(line)
                size += len(line.data)
        expected = behind
    if end_seq is not None and expected < end_seq:
        gaps.append((expected, end_seq))
        expected = end_seq
    return LogPage(records, expected, end_seq is not None, gaps)


def _sound_records(chunks: Iterable[bytes]) -> Iterator[LogRecord]:
    """Yield the records whose crc holds; behind a bad one, go on where its length points."""
    for data in chunks:
        offset = 0
        while offset < len(data):
            try:
                record, offset = decode_record(data, offset)
            except Torn as torn:
                if torn.next_offset is None:
                    break
                offset = torn.next_offset
                continue
            yield record
