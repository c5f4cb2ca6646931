"""A disk in memory: what was written but not synced may be lost, whole, in part or out of order.

The product's own log and event log run on it, through their Disk seam and paths of this kind.
Every operation that changes something calls `before` first, so that a process may be killed there.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident
from typing import Any, cast

from actors.backends.disk import Disk, DiskFile

__all__ = ["Killed", "SimDisk", "SimFile", "SimPath"]

_SECTOR = 512


class Killed(BaseException):
    """What `before` raises: the process dies here, within the work of a thread."""


class SimPath:
    """As much of a path as the logs use."""

    def __init__(self, disk: SimDisk, text: str) -> None:
        self._disk = disk
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __lt__(self, other: SimPath) -> bool:
        return self._text < other._text

    def __truediv__(self, name: str) -> SimPath:
        return SimPath(self._disk, f"{self._text}/{name}")

    @property
    def name(self) -> str:
        return self._text.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name.partition(".")[0]

    def mkdir(self, **_: Any) -> None:
        """A directory is there when a file is in it."""

    def glob(self, pattern: str) -> Iterator[SimPath]:
        for text in list(self._disk.files):
            if text.startswith(f"{self._text}/") and text.endswith(pattern[1:]):
                yield SimPath(self._disk, text)

    def unlink(self, *, missing_ok: bool) -> None:
        assert missing_ok, "the logs remove what may be gone"
        self._disk.files.pop(self._text, None)


class _Inode:
    """`data` is what a process reads, `durable` what a power loss leaves at least."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.durable = bytearray(size)
        self.unsynced: list[tuple[int, bytes]] = []

    def lose_power(self, rng: random.Random) -> None:
        """Keep any of the sectors that were written and not synced."""
        for offset, data in self.unsynced:
            kept = rng.choice(("none", "all", "some"))
            for at in range(0, len(data), _SECTOR):
                if kept == "all" or (kept == "some" and rng.random() < 0.5):
                    _put(self.durable, offset + at, data[at : at + _SECTOR])
        self.unsynced.clear()
        self.data = bytearray(self.durable)


def _put(into: bytearray, offset: int, data: bytes) -> None:
    if len(into) < offset:
        into.extend(bytes(offset - len(into)))
    into[offset : offset + len(data)] = data


class SimDisk(Disk):
    """Files of one machine. `full` is a fault until it is unset.

    `broken` is the beginning of a path: the next sync there fails, and what it was to make durable
    never is, though it is read as written.
    """

    def __init__(self, before: Callable[[str], None]) -> None:
        self.files: dict[str, _Inode] = {}
        self._before = before
        self._thread = get_ident()
        self.full = False
        self.broken: str | None = None

    def path(self, name: str) -> Path:
        return cast(Path, SimPath(self, name))

    def before(self, what: str) -> None:
        """Come ahead of a change. What the log's helper thread prepares is no moment of its own."""
        if get_ident() == self._thread:
            self._before(what)

    def lose_power(self, rng: random.Random) -> None:
        for inode in self.files.values():
            inode.lose_power(rng)

    def need_room(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # -- the seam

    def open(self, path: Path) -> DiskFile:
        return SimFile(self, str(path))

    def create(self, path: Path, size: int) -> DiskFile:
        self.before("create")
        self.need_room()
        self.files[str(path)] = _Inode(size)
        return SimFile(self, str(path))

    def rename(self, path: Path, to: Path) -> None:
        self.before("rename")
        self.files[str(to)] = self.files.pop(str(path))

    def remove(self, paths: list[Path]) -> None:
        for path in paths:
            self.before("remove")
            self.files.pop(str(path), None)


class SimFile(DiskFile):
    def __init__(self, disk: SimDisk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._inode = disk.files[path]
        self._undoing = False

    def read(self) -> bytes:
        return bytes(self._inode.data)

    def size(self) -> int:
        return len(self._inode.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self._inode.data[offset : offset + length])

    def write_at(self, offset: int, data: bytes) -> None:
        """On a full disk the first write fails; then what was written may be overwritten."""
        self._disk.before("write")
        if self._disk.full and not self._undoing:
            self._undoing = True
            self._write(offset, data[: len(data) // 2])
            self._disk.need_room()
        self._write(offset, data)

    def _write(self, offset: int, data: bytes) -> None:
        self._inode.unsynced.append((offset, bytes(data)))
        _put(self._inode.data, offset, data)

    def truncate(self, size: int) -> None:
        self._disk.before("truncate")
        self.sync()
        del self._inode.data[size:], self._inode.durable[size:]

    def sync(self) -> None:
        self._disk.before("sync")
        self._undoing = False
        inode = self._inode
        broken = self._disk.broken
        if broken is not None and self._path.startswith(broken):
            self._disk.broken = None
            inode.unsynced.clear()  # the kernel has dropped the pages and reports it once
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        for offset, data in inode.unsynced:
            _put(inode.durable, offset, data)
        inode.unsynced.clear()

    def close(self) -> None:
        """Nothing is held."""
