"""Files of fixed size that are written in place, and what it takes to make them durable.

This is the seam at which tests inject faults: a log calls nothing of the OS but this.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from actors.core.ports import DiskUsage
from actors.errors import JobdError, ReadOnly, StorageFailed

__all__ = ["NO_ROOM", "Disk", "DiskFile", "disk_usage", "refusal", "refusing"]

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK: Final = 1 << 20


def refusal(what: str, error: OSError) -> JobdError:
    """Return ReadOnly when an error says that there is no room, else StorageFailed."""
    if error.errno in NO_ROOM:
        return ReadOnly(
            f"{what}: {error.strerror}",
            remedy="Free space on the disk of the data directory; writes go on by themselves.",
        )
    return StorageFailed(
        f"{what}: {error.strerror or error}",
        remedy="Check the disk (dmesg, SMART), then start the node again.",
    )


def disk_usage(path: Path) -> DiskUsage:
    """Return how full the file system of a path is. Raises OSError."""
    found = os.statvfs(path)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    return DiskUsage(used, used + found.f_bavail * found.f_frsize)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Have what the disk refuses, also to SQLite, be ReadOnly or StorageFailed."""
    try:
        yield
    except OSError as error:
        raise refusal(what, error) from error
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        cause = OSError(errno.ENOSPC if full else errno.EIO, str(error))
        raise refusal(what, cause) from error


class DiskFile:
    """An open file. Every method raises OSError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self) -> bytes:
        """Return the whole file."""
        size, at, parts = self.size(), 0, []
        while at < size and (part := os.pread(self._fd, size - at, at)):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def size(self) -> int:
        """Return the file's size in bytes."""
        return os.fstat(self._fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes."""
        return os.pread(self._fd, length, offset)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all bytes. After an error any part of them may have been written."""
        at = os.pwrite(self._fd, data, offset)
        while at < len(data):  # a short write is followed by the error that caused it
            at += os.pwrite(self._fd, memoryview(data)[at:], offset + at)

    def truncate(self, size: int) -> None:
        """Cut the file off at a size."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Make what was written durable (fdatasync). After an error nothing is known of it."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; once more does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Disk:
    """Opens, creates and names files. Every method raises OSError."""

    def open(self, path: Path) -> DiskFile:
        """Open an existing file."""
        return DiskFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def create(self, path: Path, size: int) -> DiskFile:
        """Create a file of zeros, durable with its size, so that later writes only overwrite.

        A block that was written once costs fdatasync no journal commit. Removed again on failure.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        file = DiskFile(fd)
        try:
            os.posix_fallocate(fd, 0, size)  # no room is found before anything is written
            zeros = bytes(_CHUNK)
            for at in range(0, size, _CHUNK):
                file.write_at(at, zeros[: size - at])
            os.fsync(fd)
        except OSError:
            file.close()
            path.unlink()
            raise
        return file

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name, durably."""
        path.rename(to)
        self.sync_dir(to.parent)

    def remove(self, paths: list[Path]) -> None:
        """Remove files of one directory in this order, durably."""
        for path in paths:
            path.unlink(missing_ok=True)
        if paths:
            self.sync_dir(paths[0].parent)

    def sync_dir(self, path: Path) -> None:
        """Make a directory's entries durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
