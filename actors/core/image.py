"""The image's self-check: what lets a state store prove that its rows are the ones written.

Rules:

M1. Each row carries the CRC-32C of its key, revision and value.
M2. The mark, written in the same atomic batch as the rows, carries their number and the sum of
    their digests modulo 2**128, so one row that is missing, extra or changed does not add up.
    The sum needs no order and no rescan: a batch adds its new rows and takes off those replaced
    (AdHash: Bellare and Micciancio, EUROCRYPT 1997; against accidents, not against forgers).
M3. The digest of an image is the same in every engine for the same revision and rows.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import google_crc32c
import msgspec

from actors.core.ports import Row, StoredState
from actors.errors import Corrupt, DataDirectory

__all__ = [
    "EMPTY",
    "REMEDY",
    "Mark",
    "advance",
    "checked_row",
    "checked_rows",
    "decode_mark",
    "encode_mark",
    "last_of_each",
    "row_check",
    "stored_state",
]

_FORMAT: Final = 1
_MODULUS: Final = 1 << 128
_PLACE: Final = struct.Struct(">QI")
_CRC: Final = struct.Struct(">I")
REMEDY: Final = "Restore the data directory from a backup, or import an export of the state."


class Mark(NamedTuple):
    """Where an image stands: what it holds of log, history and consensus, and what adds up (M2)."""

    applied_index: int
    revision: int
    sessions: bytes
    keys: int
    total: int
    position: bytes = b""

    @property
    def digest(self) -> str:
        """Revision, number of keys and the sum of the row digests (M3)."""
        return f"{self.revision}-{self.keys}-{self.total:032x}"


EMPTY: Final = Mark(0, 0, b"", 0, 0)


def stored_state(mark: Mark, rows: Iterator[Row]) -> StoredState:
    """Return what an engine loads."""
    return StoredState(mark.applied_index, mark.revision, mark.sessions, rows, mark.position)


def row_check(key: bytes, revision: int, value: bytes) -> int:
    """Return a row's CRC-32C (M1)."""
    head = google_crc32c.extend(google_crc32c.value(revision.to_bytes(8, "big")), key)
    return int(google_crc32c.extend(head, b"\0" + value))


def _row_sum(key: bytes, revision: int, check: int) -> int:
    place = _PLACE.pack(revision, check)
    return int.from_bytes(hashlib.blake2b(place + key, digest_size=16).digest(), "big")


def last_of_each(rows: Iterable[Row]) -> dict[bytes, Row]:
    """Return what a batch leaves behind of each key (as stored bytes): a later row wins."""
    return {row.key.encode(): row for row in rows}


def advance(
    mark: Mark,
    old: Mapping[bytes, tuple[int, int]],
    new: Mapping[bytes, tuple[int, int]],
    *,
    applied_index: int,
    revision: int,
    sessions: bytes,
    position: bytes,
) -> Mark:
    """Return the mark after a batch: `old` and `new` rows as key -> (revision, check)."""
    total = mark.total + sum(_row_sum(key, *row) for key, row in new.items())
    total -= sum(_row_sum(key, *row) for key, row in old.items())
    keys = mark.keys + len(new) - len(old)
    return Mark(applied_index, revision, sessions, keys, total % _MODULUS, position)


def checked_row(key: object, revision: object, value: object, check: object) -> Row:
    """Return a stored row, whatever an engine with flipped bits gave. Raises Corrupt."""
    if (
        isinstance(key, bytes)
        and isinstance(revision, int)
        and isinstance(value, bytes)
        and revision >= 0
        and row_check(key, revision, value) == check
    ):
        return Row(key.decode(), revision, value)
    raise Corrupt(f"state image: row {key!r} fails its checksum", remedy=REMEDY)


def checked_rows(mark: Mark, stored: Iterable[tuple[bytes, int, bytes, int]]) -> Iterator[Row]:
    """Yield stored (key, revision, value, check) as rows.

    Raises Corrupt at a bad row, and at the end when the whole doesn't add up: what was yielded
    may be used only once the iterator has ended by itself.
    """
    keys = total = 0
    for key, revision, value, check in stored:
        yield checked_row(key, revision, value, check)
        keys += 1
        total += _row_sum(key, revision, check)
    if (keys, total % _MODULUS) != (mark.keys, mark.total):
        raise Corrupt(
            f"state image: {keys} rows do not add up to the {mark.keys} written", remedy=REMEDY
        )


def encode_mark(mark: Mark) -> bytes:
    """Return the mark's bytes, checksum first."""
    body = msgspec.msgpack.encode(
        (_FORMAT, *mark[:4], mark.total.to_bytes(16, "big"), mark.position),
    )
    return _CRC.pack(google_crc32c.value(body)) + body


def decode_mark(data: object) -> Mark:
    """Return the mark. Raises Corrupt, DataDirectory (another version)."""
    if not isinstance(data, bytes) or _CRC.pack(google_crc32c.value(data[4:])) != data[:4]:
        raise Corrupt("state image: the mark fails its checksum", remedy=REMEDY)
    version, *fields = msgspec.msgpack.decode(data[4:])
    if version != _FORMAT:
        raise DataDirectory(f"state image has format {version}; this node reads {_FORMAT}")
    applied_index, revision, sessions, keys, total, *later = fields
    position = later[0] if later else b""  # the mark grows at its end
    return Mark(applied_index, revision, sessions, keys, int.from_bytes(total, "big"), position)
