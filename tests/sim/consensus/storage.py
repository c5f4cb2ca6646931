"""One machine's disk: its log, the image of its state, the number of times it was started.

Most seeds keep the log as encoded records in a list, which is cheap; the others have the product's
own segments, with its recovery, on a disk that loses sectors. Both lose what was not synced.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import msgspec

from actors.backends.segment_log import SegmentLog
from actors.core.ports import LogEntry
from actors.errors import Corrupt, ReadOnly
from tests.sim.node.disk import Killed, SimDisk

__all__ = ["Image", "Log", "PlainLog", "SegmentedLog", "Storage"]

_SEGMENT: Final = 32 * 1024
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(LogEntry).decode


class Image(NamedTuple):
    """The state after `executed` commands, and what consensus keeps beside it.

    `log_index`: the log's records up to this one are not needed with it.
    """

    executed: int
    log_index: int
    position: bytes
    revision: int
    sessions: bytes
    rows: dict[str, tuple[int, bytes]]


class Log(Protocol):
    """What a machine needs of its log."""

    @property
    def last_index(self) -> int:
        """The last durable record."""

    def append(self, entries: tuple[LogEntry, ...], *, full: bool) -> None:
        """Make a group durable. Raises ReadOnly, with nothing written."""

    def crash(self, unsynced: tuple[LogEntry, ...], rng: random.Random, *, power: bool) -> None:
        """End the process while a group was being written; with the power, sectors go too."""

    def replay(self, after: int) -> Iterator[LogEntry]:
        """Yield what is there, as a new process finds it."""

    def truncate_before(self, index: int) -> None:
        """Drop records below an index."""


class PlainLog:
    """Encoded records. Of the group under way any first part may survive."""

    def __init__(self) -> None:
        self._first = 1
        self._records: list[bytes] = []

    @property
    def last_index(self) -> int:
        return self._first + len(self._records) - 1

    def append(self, entries: tuple[LogEntry, ...], *, full: bool) -> None:
        assert entries[0].index == self.last_index + 1, "indexes are dense"
        if full:
            raise ReadOnly("the disk is full")
        self._records.extend(map(_ENCODE, entries))

    def crash(self, unsynced: tuple[LogEntry, ...], rng: random.Random, *, power: bool) -> None:
        kept = rng.randint(0, len(unsynced)) if power else rng.choice((0, len(unsynced)))
        if kept:
            self.append(unsynced[:kept], full=False)

    def replay(self, after: int) -> Iterator[LogEntry]:
        if not self._first - 1 <= after <= self.last_index:
            raise Corrupt(f"the log holds {self._first} to {self.last_index}, not from {after}")
        yield from map(_DECODE, self._records[after - self._first + 1 :])

    def truncate_before(self, index: int) -> None:
        dropped = min(index, self.last_index + 1) - self._first
        if dropped > 0:
            del self._records[:dropped]
            self._first += dropped


class SegmentedLog:
    """The product's log on a simulated disk."""

    def __init__(self) -> None:
        self._dies = False
        self._disk = SimDisk(self._before)
        self._log = self._open()

    def _open(self) -> SegmentLog:
        return SegmentLog.open(self._disk.path("log"), _SEGMENT, self._disk)

    def _before(self, what: str) -> None:
        if self._dies and what == "sync":
            raise Killed

    @property
    def last_index(self) -> int:
        return self._log.last_index

    def append(self, entries: tuple[LogEntry, ...], *, full: bool) -> None:
        self._disk.full = full
        self._log.append(list(entries))

    def crash(self, unsynced: tuple[LogEntry, ...], rng: random.Random, *, power: bool) -> None:
        self._disk.full = False  # else it could not be opened again
        if unsynced and rng.random() < 0.8:
            self._dies = True
            with contextlib.suppress(Killed):
                self._log.append(list(unsynced))
            self._dies = False
        self._log.close()
        if power:
            self._disk.lose_power(rng)
        self._log = self._open()

    def replay(self, after: int) -> Iterator[LogEntry]:
        return self._log.replay(after)

    def truncate_before(self, index: int) -> None:
        self._log.truncate_before(index)


class Storage:
    """What a machine still has after a crash."""

    def __init__(self, *, real_log: bool) -> None:
        self.log: Log = SegmentedLog() if real_log else PlainLog()
        self.image: Image | None = None  # durable
        self.written: Image | None = None  # not yet durable; a crash may keep it
        self.incarnation = 0
        self.full = False

    def crash(self, unsynced: tuple[LogEntry, ...], rng: random.Random, *, power: bool) -> None:
        """Lose what a crash loses."""
        self.log.crash(unsynced, rng, power=power)
        if self.written is not None and (not power or rng.random() < 0.5):
            self.image = self.written
        self.written = None
