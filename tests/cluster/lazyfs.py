"""A disk that forgets what was not synced: python -m tests.cluster.lazyfs BACKING MOUNT

A FUSE file system over a directory. Writes go through to BACKING at once, with what they overwrote
kept until the file is synced; losing power is putting that back. Commands are lines on stdin, each
answered with "ok" on stdout, the first "ok" once it is mounted:

    drop        lose all that is not synced (the processes that use it are dead by then)
    tear SEED   lose the last few writes of each file that are not synced, by chance
    fail        fsync answers EIO from now on
    mend        it does its work again

Names (create, rename, unlink) are durable at once, which is kinder than a disk. The contents are
not: a file that was renamed but never synced is empty after a loss.
"""

from __future__ import annotations

import errno
import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import mfusepy

__all__ = ["LazyDisk"]

_ATTRIBUTES: Final = (
    "st_atime", "st_ctime", "st_gid", "st_ino", "st_mode", "st_mtime", "st_nlink", "st_size",
    "st_uid", "st_blocks",
)  # fmt: skip
Undo = Callable[[int], object]  # puts back what one change replaced, given a descriptor


class LazyDisk(mfusepy.Operations):  # type: ignore[misc]
    """The file system. What was changed since a file's last sync, in order, by its inode."""

    use_ns = True

    def __init__(self, backing: Path) -> None:
        self._backing = str(backing)
        self._fails = False
        self._dirty: dict[int, list[Undo]] = {}
        self._paths: dict[int, str] = {}
        self._lock = threading.RLock()

    # -- faults

    def obey(self, command: str) -> None:
        """Do what a line of stdin says."""
        word, _, rest = command.partition(" ")
        with self._lock:
            if word in ("drop", "tear"):
                self._lose(random.Random(rest) if word == "tear" else None)
            else:
                self._fails = word == "fail"

    def _lose(self, rng: random.Random | None) -> None:
        for inode, undos in self._dirty.items():
            lost = len(undos) if rng is None else rng.randint(0, len(undos))
            path = self._paths.get(inode)
            if path is None or not lost:
                continue  # it was removed
            fd = os.open(path, os.O_RDWR)
            for undo in reversed(undos[len(undos) - lost :]):
                undo(fd)
            os.close(fd)
        self._dirty.clear()

    # -- files

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        fd = os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self._know(fd, path)
        return fd

    def open(self, path: str, flags: int) -> int:
        access = flags & os.O_ACCMODE
        fd = os.open(self._at(path), os.O_RDONLY if access == os.O_RDONLY else os.O_RDWR)
        self._know(fd, path)
        return fd

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self._lock:
            inode, size = _inode_and_size(fh)
            before = os.pread(fh, len(data), offset) if offset < size else b""

            def undo(fd: int) -> None:
                os.pwrite(fd, before, offset)
                os.ftruncate(fd, size)

            self._dirty.setdefault(inode, []).append(undo)
            return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self._lock:
            fd = os.open(self._at(path), os.O_RDWR) if fh is None else fh
            self._know(fd, path)
            inode, size = _inode_and_size(fd)
            before = os.pread(fd, size - length, length) if length < size else b""

            def undo(fd: int) -> None:
                os.ftruncate(fd, size)
                os.pwrite(fd, before, length)

            self._dirty.setdefault(inode, []).append(undo)
            os.ftruncate(fd, length)
            if fh is None:
                os.close(fd)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        with self._lock:
            if self._fails:
                raise mfusepy.FuseOSError(errno.EIO)
            self._dirty.pop(_inode_and_size(fh)[0], None)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    # -- names

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self._at(path))
        attributes = {name: getattr(found, name) for name in _ATTRIBUTES}
        for name in ("atime", "ctime", "mtime"):
            attributes[f"st_{name}"] = getattr(found, f"st_{name}_ns")
        return attributes

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._at(path))]

    def unlink(self, path: str) -> int:
        with self._lock:
            inode = os.lstat(self._at(path)).st_ino
            os.unlink(self._at(path))
            self._paths.pop(inode, None)
        return 0

    def rename(self, old: str, new: str) -> int:
        with self._lock:
            replaced = self._at(new)
            if os.path.lexists(replaced):
                self._paths.pop(os.lstat(replaced).st_ino, None)
            os.rename(self._at(old), replaced)
            begins = self._at(old)
            for inode, path in self._paths.items():
                if path == begins or path.startswith(f"{begins}/"):
                    self._paths[inode] = replaced + path[len(begins) :]
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def mknod(self, path: str, mode: int, dev: int) -> int:
        os.mknod(self._at(path), mode, dev)
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._at(target))
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(self._at(source), self._at(target))
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._at(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._at(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if times is None:
            os.utime(self._at(path))
        else:
            os.utime(self._at(path), ns=times)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_")}

    def _at(self, path: str) -> str:
        return self._backing + path

    def _know(self, fd: int, path: str) -> None:
        with self._lock:
            self._paths[_inode_and_size(fd)[0]] = self._at(path)


def _inode_and_size(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_ino, found.st_size


def _serve_stdin(disk: LazyDisk, mount: Path) -> None:
    while not os.path.ismount(mount):
        threading.Event().wait(0.01)
    print("ok", flush=True)
    for line in sys.stdin:
        disk.obey(line.strip())
        print("ok", flush=True)


if __name__ == "__main__":
    backing, mount = map(Path, sys.argv[1:])
    disk = LazyDisk(backing)
    threading.Thread(target=_serve_stdin, args=(disk, mount), daemon=True).start()
    mfusepy.FUSE(disk, str(mount), foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0)
