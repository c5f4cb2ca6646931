"""The state image in memory, for tests and prompts: it ends with its process.

Only a checkpoint is on disk, in the engine-free form of `actors.backends.state_copy`; opening its
path begins from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Self

from sortedcontainers import SortedDict

from actors.backends.state_copy import export_ndjson, import_ndjson
from actors.core import image
from actors.core.ports import Row, StoredState

__all__ = ["MemoryStateStore"]


class MemoryStateStore:
    """A StateStore in a sorted dict of key -> (revision, value, check)."""

    def __init__(self) -> None:
        self._rows: SortedDict = SortedDict()
        self._mark = image.EMPTY

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Return an empty store, or the one whose checkpoint is at this path."""
        store = cls()
        if path is not None and path.is_file():
            with path.open("rb") as file:
                import_ndjson(file, store)
        return store

    def load(self) -> StoredState:
        """Return the image. Raises Corrupt at the end of the rows when they don't add up."""
        mark = self._mark
        stored = ((key, *row) for key, row in self._rows.items())
        rows = image.checked_rows(mark, stored)
        return image.stored_state(mark, rows)

    def write(
        self,
        rows: Iterable[Row],
        *,
        applied_index: int,
        revision: int,
        sessions: bytes,
        position: bytes,
    ) -> None:
        """Write rows and the mark in one batch."""
        batch = image.last_of_each(rows)
        puts = {
            key: (row.revision, row.value, image.row_check(key, row.revision, row.value))
            for key, row in batch.items()
            if row.value is not None
        }
        stored = {key: self._rows[key] for key in batch if key in self._rows}
        self._mark = image.advance(
            self._mark,
            {key: (revision_, check) for key, (revision_, _, check) in stored.items()},
            {key: (revision_, check) for key, (revision_, _, check) in puts.items()},
            applied_index=applied_index,
            revision=revision,
            sessions=sessions,
            position=position,
        )
        for key in stored:
            del self._rows[key]
        self._rows.update(puts)

    def flush(self) -> None:
        """There is nothing that could survive."""

    def get(self, key: str) -> Row | None:
        """Return one row, checked."""
        stored = self._rows.get(key.encode())
        return None if stored is None else image.checked_row(key.encode(), *stored)

    def scan(self, start: str, end: str | None = None, *, limit: int | None = None) -> list[Row]:
        """Return rows of [start, end) in key order."""
        last = None if end is None else end.encode()
        keys = self._rows.irange(start.encode(), last, inclusive=(True, False))
        return [image.checked_row(key, *self._rows[key]) for key in islice(keys, limit)]

    def checkpoint(self, dest: Path) -> None:
        """Write a consistent copy that opens as a store of the same engine."""
        with dest.open("wb") as file:
            export_ndjson(self, file)

    def digest(self) -> str:
        """Return a digest of revision and rows, equal in every engine for the same content."""
        return self._mark.digest

    def stats(self) -> dict[str, int]:
        """Return `keys` and the `bytes` of their values."""
        return {"keys": len(self._rows), "bytes": sum(len(v) for _, v, _ in self._rows.values())}

    def close(self) -> None:
        """Forget everything."""
        self._rows.clear()
