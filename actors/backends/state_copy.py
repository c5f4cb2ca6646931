"""Copies of a state image between engines, and to and from a text form that no engine owns.

The text is NDJSON: a head line, a line per row in key order, an end line with the digest::

    {"jobd_state":1,"applied_index":7,"revision":9,"sessions":"<base64>","position":"<base64>"}
    {"key":"job/…","revision":3,"value":"<base64>"}
    {"keys":1,"digest":"9-1-…"}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Final, TypeVar

import msgspec

from actors.core.ports import Row, StateStore, StoredState
from actors.errors import Conflict, Corrupt, DataDirectory

__all__ = ["export_ndjson", "import_ndjson", "migrate"]

_T = TypeVar("_T")
_FORMAT: Final = 1
_ROWS: Final = 1_000  # of one batch


def migrate(source: StateStore, dest: StateStore) -> int:
    """Copy an image into an empty store and return its number of rows. Durable on return.

    Raises Conflict when `dest` is not empty, Corrupt when the copy's digest is not the source's.
    """
    keys = _fill(dest, source.load())
    _check_digest(dest, source.digest())
    return keys


def export_ndjson(store: StateStore, file: IO[bytes]) -> int:
    """Write an image as NDJSON and return its number of rows. Raises Corrupt."""
    state = store.load()
    file.write(_line(_Head(_FORMAT, *state[:3], state.position)))
    keys = 0
    for row in state.rows:
        keys += 1
        assert row.value is not None, "an image holds no deleted keys"
        file.write(_line(_Line(row.key, row.revision, row.value)))
    file.write(_line(_End(keys, store.digest())))
    return keys


def import_ndjson(file: Iterable[bytes], store: StateStore) -> int:
    """Read NDJSON into an empty store and return its number of rows. Durable on return.

    Raises Conflict when the store is not empty, Corrupt when the text is cut short or altered,
    DataDirectory when a newer JobD wrote it. After Corrupt the store is to be thrown away.
    """
    lines = iter(file)
    head = _parse(next(lines, b""), _Head)
    if head.jobd_state != _FORMAT:
        raise DataDirectory(f"an export of format {head.jobd_state}; this JobD reads {_FORMAT}")
    end: list[_End] = []
    rows = _rows(lines, end)
    state = StoredState(head.applied_index, head.revision, head.sessions, rows, head.position)
    keys = _fill(store, state)
    _check_digest(store, end[0].digest)
    return keys


class _Head(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    jobd_state: int
    applied_index: int
    revision: int
    sessions: bytes  # base64, as msgspec writes bytes
    position: bytes = b""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    revision: int
    value: bytes


class _End(msgspec.Struct, forbid_unknown_fields=True):
    keys: int
    digest: str


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _parse(line: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(line, type=type_)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"not an export of JobD's state, or cut short: {error}") from error


def _rows(lines: Iterator[bytes], end: list[_End]) -> Iterator[Row]:
    """Yield the rows of an export; its end line goes into `end`."""
    keys = 0
    for line in lines:
        if line.startswith(b'{"keys"'):
            end.append(_parse(line, _End))
            break
        row = _parse(line, _Line)
        keys += 1
        yield Row(row.key, row.revision, row.value)
    if not end or end[0].keys != keys:
        raise Corrupt(f"the export is cut short after {keys} rows")


def _fill(dest: StateStore, state: StoredState) -> int:
    """Write an image into an empty store; the watermark comes last, so half a copy shows as one."""
    if dest.stats()["keys"] or dest.load().applied_index:
        raise Conflict("the store to copy into is not empty")
    keys, rows = 0, state.rows
    while batch := list(islice(rows, _ROWS)):
        dest.write(batch, applied_index=0, revision=0, sessions=b"", position=b"")
        keys += len(batch)
    dest.write(
        (),
        applied_index=state.applied_index,
        revision=state.revision,
        sessions=state.sessions,
        position=state.position,
    )
    dest.flush()
    return keys


def _check_digest(store: StateStore, expected: str) -> None:
    if store.digest() != expected:
        raise Corrupt(f"the copy has the digest {store.digest()}, its source {expected}")
