"""The state image of a simulated machine: its own MemoryStateStore, which outlives processes.

A batch is atomic. One that was not flushed survives the process; a power loss keeps any prefix of
those since the last flush, as a write-ahead journal does.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from actors.backends.state_memory import MemoryStateStore
from actors.core.ports import Row, StoredState
from actors.errors import ReadOnly
from tests.sim.node.disk import SimDisk

__all__ = ["SimImage"]


class SimImage(MemoryStateStore):
    """A StateStore on the disk of a machine."""

    def __init__(self, disk: SimDisk) -> None:
        super().__init__()
        self._disk = disk
        self._durable = MemoryStateStore()
        self._batches: list[tuple[tuple[Row, ...], dict[str, Any]]] = []

    def write(
        self,
        rows: Iterable[Row],
        *,
        applied_index: int,
        revision: int,
        sessions: bytes,
        position: bytes,
    ) -> None:
        self._disk.before("image")
        if self._disk.full:
            raise ReadOnly("the disk is full")
        mark: dict[str, Any] = {
            "applied_index": applied_index,
            "revision": revision,
            "sessions": sessions,
            "position": position,
        }
        self._batches.append((tuple(rows), mark))
        super().write(self._batches[-1][0], **mark)

    def flush(self) -> None:
        self._disk.before("image flush")
        self._settle()

    def _settle(self) -> None:
        for rows, mark in self._batches:
            self._durable.write(rows, **mark)
        self._batches.clear()

    def lose_power(self, rng: random.Random) -> None:
        """Go back to the last flush and some of the batches behind it."""
        self._batches = self._batches[: rng.randint(0, len(self._batches))]
        self._settle()
        self._rows.clear()
        super().__init__()
        _copy(self._durable.load(), self)

    def close(self) -> None:
        """The file stays."""


def _copy(stored: StoredState, into: MemoryStateStore) -> None:
    rows = tuple(stored.rows)
    MemoryStateStore.write(
        into,
        rows,
        applied_index=stored.applied_index,
        revision=stored.revision,
        sessions=stored.sessions,
        position=stored.position,
    )
