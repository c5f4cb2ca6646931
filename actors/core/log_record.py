"""Records of a job's log on disk.

    [len u32][crc32c u32][seq u64][time_ms u64][stream u8][flags u8][bytes]        little endian

`len` counts the bytes behind the header; the crc covers everything behind itself. A record holds
one or more whole lines, or one piece of a line, exactly as the job wrote them: newlines stay, no
encoding is assumed, so the concatenation of a stream's records is what was written to it.

Every line, or piece of one, has its own sequence number: a record's `seq` is its first line's, and
the next record follows at `seq + lines`. Numbers are dense over both streams: a hole is a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import google_crc32c

__all__ = [
    "HEADER_BYTES",
    "PARTIAL",
    "STDERR",
    "STDOUT",
    "SUPERVISOR",
    "TRUNCATED",
    "LogRecord",
    "Torn",
    "decode_record",
    "encode_record",
    "line_count",
    "lines_of",
]

SUPERVISOR: Final = 0  # a line of the job supervisor itself
STDOUT: Final = 1
STDERR: Final = 2

PARTIAL: Final = 1  # flag: a piece of a line; the stream's next record goes on with it
TRUNCATED: Final = 2  # flag: the log's last record; what came after it was dropped

_CRC_FROM: Final = 8
_HEADER: Final = struct.Struct("<IIQQBB")
_COVERED: Final = struct.Struct("<QQBB")
HEADER_BYTES: Final = _HEADER.size


class LogRecord(NamedTuple):
    """One record, or one line of it. `time_ms` is when the job supervisor read it."""

    seq: int
    time_ms: int
    stream: int
    flags: int
    data: bytes


class Torn(Exception):
    """The bytes end within a record (`next_offset` None), or their crc fails.

    Then `next_offset` is where the next record begins, if the length at least is right.
    """

    def __init__(self, next_offset: int | None) -> None:
        super().__init__("incomplete" if next_offset is None else "bad crc")
        self.next_offset = next_offset


def encode_record(record: LogRecord) -> bytes:
    """Return the bytes of a record."""
    covered = _COVERED.pack(record.seq, record.time_ms, record.stream, record.flags) + record.data
    crc: int = google_crc32c.value(covered)
    return len(record.data).to_bytes(4, "little") + crc.to_bytes(4, "little") + covered


def decode_record(data: bytes, offset: int) -> tuple[LogRecord, int]:
    """Return the record at an offset and the offset behind it. Raises Torn."""
    body = offset + HEADER_BYTES
    if len(data) < body:
        raise Torn(None)
    length, crc, seq, time_ms, stream, flags = _HEADER.unpack_from(data, offset)
    end = body + length
    if len(data) < end:
        raise Torn(None)
    if google_crc32c.value(data[offset + _CRC_FROM : end]) != crc:
        raise Torn(end)
    return LogRecord(seq, time_ms, stream, flags, data[body:end]), end


def line_count(data: bytes) -> int:
    """Return how many sequence numbers these bytes take: their lines, an open one included."""
    return data.count(b"\n") + (not data.endswith(b"\n"))


def lines_of(record: LogRecord, from_seq: int = 0) -> Iterator[LogRecord]:
    """Yield the lines of a record from a sequence number on, each with its own."""
    first, time_ms, stream, flags, data = record
    find, size = data.find, len(data)
    start = 0
    for _ in range(first, from_seq):
        start = find(b"\n", start) + 1
    for seq in range(max(first, from_seq), first + line_count(data)):
        end = find(b"\n", start) + 1 or size
        yield LogRecord(seq, time_ms, stream, flags, data[start:end])
        start = end
