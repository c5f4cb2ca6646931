"""A disk that fails when told to, under the real one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from actors.backends.disk import Disk, DiskFile

__all__ = ["FaultyDisk"]


class FaultyDisk(Disk):
    """Raises an error at the n-th write, sync or creation from now on; everything else is real.

    `room` is how many more bytes may be written; the write that reaches it is cut short with
    ENOSPC, as on a copy-on-write file system, after which what was written may be overwritten.
    """

    def __init__(self) -> None:
        self.fail: dict[str, tuple[int, int]] = {}  # operation -> (calls until then, errno)
        self.room: int | None = None

    def at(self, operation: str, calls: int, error: int) -> None:
        """Fail an operation after this many good calls, from then on."""
        self.fail[operation] = (calls, error)

    def heal(self) -> None:
        """Fail no more."""
        self.fail.clear()
        self.room = None

    def check(self, operation: str) -> None:
        """Count a call, and raise when it is its turn."""
        if operation in self.fail:
            calls, error = self.fail[operation]
            if not calls:
                raise OSError(error, os.strerror(error))
            self.fail[operation] = (calls - 1, error)

    def open(self, path: Path) -> DiskFile:
        """Open through the faults."""
        self.check("open")
        return _FaultyFile(os.open(path, os.O_RDWR | os.O_CLOEXEC), self)

    def create(self, path: Path, size: int) -> DiskFile:
        """Create through the faults."""
        self.check("create")
        super().create(path, size).close()
        return self.open(path)

    def rename(self, path: Path, to: Path) -> None:
        """Rename through the faults."""
        self.check("rename")
        super().rename(path, to)


class _FaultyFile(DiskFile):
    def __init__(self, fd: int, disk: FaultyDisk) -> None:
        super().__init__(fd)
        self._disk = disk

    def write_at(self, offset: int, data: bytes) -> None:
        self._disk.check("write")
        room = self._disk.room
        if room is not None:
            self._disk.room = room - len(data) if room >= len(data) else None
        super().write_at(offset, data[:room])
        if room is not None and room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        self._disk.check("sync")
        super().sync()
