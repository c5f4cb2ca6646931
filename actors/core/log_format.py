"""Bytes of the durable log: segment header, record, mirror slot.

A segment is one preallocated, zeroed file. All integers are big-endian, all checksums CRC-32C
(Castagnoli, RFC 3720 B.4)::

    0            header, copy 1 (48 bytes used)      2048   header, copy 2
    4096         mirror slot 0                       4096 + slot_bytes   mirror slot 1
    4096 + 2 * slot_bytes   records, dense, up to the zeros

    header  [magic 8][version u32][zero u32][first u64][salt u64][size u64][slot_bytes u64][crc u32]
    record  [length u32][crc u32][index u64][kind u8][schema u8][payload: length bytes]
    slot    [crc u32][length u32][first u64][last u64][offset u64][a group's records: length bytes]

Rules:

F1. Every checksum but the header's begins from the segment's identity (first index and a random
    salt), so a record of another segment, or of a file that once had these blocks, is not valid.
F2. A record's checksum covers its length, index, kind, schema and payload: a record in another
    record's place is seen by its index.
F3. The high bit of `kind` marks the first record of a group. A group is what one append made
    durable, so a marked record after a damaged one proves that the damaged one was acknowledged.
F4. A group is written twice under one fdatasync: among the records and into the mirror slot that
    does not hold the group before it. While a group is being written, the last acknowledged one
    is therefore whole in two places.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import google_crc32c

from actors.core.ports import LogEntry

__all__ = [
    "KIND_MAX",
    "PAGE",
    "RECORD_OVERHEAD",
    "SCHEMA",
    "SLOT_OVERHEAD",
    "VERSION",
    "Record",
    "SegmentHeader",
    "Slot",
    "decode_header",
    "decode_slot",
    "encode_group",
    "encode_slot",
    "group_bytes",
    "record_at",
    "records",
]

VERSION: Final = 1
SCHEMA: Final = 1
PAGE: Final = 4096
KIND_MAX: Final = 0x7F
_MAGIC: Final = b"JOBDLOG\0"
_GROUP_START: Final = 0x80
_COPY: Final = PAGE // 2
_HEADER: Final = struct.Struct(">8sIIQQQQ")
_CRC: Final = struct.Struct(">I")
_RECORD: Final = struct.Struct(">IIQBB")
_COVERED: Final = struct.Struct(">IQBB")
_SLOT: Final = struct.Struct(">IIQQQ")
_IDENTITY: Final = struct.Struct(">QQ")
RECORD_OVERHEAD: Final = _RECORD.size
SLOT_OVERHEAD: Final = _SLOT.size


class SegmentHeader(NamedTuple):
    """What a segment is: its first index, random salt, and sizes in bytes."""

    first: int
    salt: int
    size: int
    slot_bytes: int
    version: int = VERSION

    @property
    def seed(self) -> int:
        """The checksum that every record and slot of this segment begins from (F1)."""
        return int(google_crc32c.value(_IDENTITY.pack(self.first, self.salt)))

    @property
    def records_at(self) -> int:
        """Offset of the first record."""
        return PAGE + 2 * self.slot_bytes

    def slot_at(self, slot: int) -> int:
        """Offset of mirror slot 0 or 1."""
        return PAGE + slot * self.slot_bytes

    def encode(self) -> bytes:
        """Return the header's page: two copies."""
        body = _HEADER.pack(
            _MAGIC, self.version, 0, self.first, self.salt, self.size, self.slot_bytes
        )
        copy = (body + _CRC.pack(google_crc32c.value(body))).ljust(_COPY, b"\0")
        return copy + copy


class Record(NamedTuple):
    """A valid record; `end` is the offset behind it."""

    number: int
    kind: int
    schema: int
    group_start: bool
    payload: bytes
    end: int


class Slot(NamedTuple):
    """A valid mirror slot: the records `first`..`last`, which belong at `offset`."""

    first: int
    last: int
    offset: int
    group: bytes


def decode_header(page: bytes) -> tuple[SegmentHeader | None, int]:
    """Return the header, None when no copy is whole, and how many of the two copies are whole."""
    found: SegmentHeader | None = None
    whole = 0
    for at in (0, _COPY):
        copy = page[at : at + _HEADER.size + _CRC.size]
        if len(copy) < _HEADER.size + _CRC.size:
            continue
        body = copy[: _HEADER.size]
        if google_crc32c.value(body) != _CRC.unpack_from(copy, _HEADER.size)[0]:
            continue
        magic, version, _, first, salt, size, slot_bytes = _HEADER.unpack(body)
        if magic == _MAGIC:
            whole += 1
            found = found or SegmentHeader(first, salt, size, slot_bytes, version)
    return found, whole


def group_bytes(entries: list[LogEntry]) -> int:
    """Return how many bytes these entries take as one group."""
    return sum(len(entry.payload) for entry in entries) + RECORD_OVERHEAD * len(entries)


def encode_group(entries: list[LogEntry], seed: int) -> bytes:
    """Return the records of one group. The entries' indexes are dense."""
    parts: list[bytes] = []
    mark = _GROUP_START
    extend, covered, record = google_crc32c.extend, _COVERED.pack, _RECORD.pack
    for entry in entries:
        assert 0 <= entry.kind <= KIND_MAX
        index, kind, payload = entry.index, entry.kind | mark, entry.payload
        length = len(payload)
        crc = extend(extend(seed, covered(length, index, kind, SCHEMA)), payload)
        parts += (record(length, crc, index, kind, SCHEMA), payload)
        mark = 0
    return b"".join(parts)


def record_at(image: bytes, at: int, limit: int, seed: int) -> Record | None:
    """Return the record at an offset, None when there is no valid one that ends by `limit`."""
    if at + RECORD_OVERHEAD > limit:
        return None
    length, crc, index, kind, schema = _RECORD.unpack_from(image, at)
    end = at + RECORD_OVERHEAD + length
    if end > limit:
        return None
    if crc != google_crc32c.extend(
        google_crc32c.extend(seed, image[at : at + 4]), image[at + 8 : end]
    ):
        return None
    payload = image[at + RECORD_OVERHEAD : end]
    return Record(index, kind & KIND_MAX, schema, kind >= _GROUP_START, payload, end)


def records(image: bytes, header: SegmentHeader, at: int, index: int) -> Iterator[Record]:
    """Yield valid records from an offset, the first with this index, as long as they are dense."""
    seed, limit = header.seed, min(header.size, len(image))
    while (record := record_at(image, at, limit, seed)) is not None and record.number == index:
        yield record
        at, index = record.end, index + 1


def encode_slot(first: int, last: int, offset: int, group: bytes, seed: int) -> bytes:
    """Return the bytes of a mirror slot."""
    head = _SLOT.pack(0, len(group), first, last, offset)[_CRC.size :]
    crc = google_crc32c.extend(google_crc32c.extend(seed, head), group)
    return b"".join((_CRC.pack(crc), head, group))


def decode_slot(image: bytes, header: SegmentHeader, slot: int) -> Slot | None:
    """Return what a mirror slot holds, None when it was never written, torn or is damaged."""
    at = header.slot_at(slot)
    crc, length, first, last, offset = _SLOT.unpack_from(image, at)
    end = at + SLOT_OVERHEAD + length
    if not length or end > at + header.slot_bytes:
        return None
    if crc != google_crc32c.extend(header.seed, image[at + _CRC.size : end]):
        return None
    return Slot(first, last, offset, image[at + SLOT_OVERHEAD : end])
