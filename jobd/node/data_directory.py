"""The data directory of a node: its version, its lock, its identity.

format        one integer: a newer version is refused, an older one taken over
lock          held (flock) by the one process that uses the directory
node.json     who the node is: id, cluster, incarnation; replaced atomically and fsynced
admin.token   the token minted at the first start, 0600
run/          sockets and node.json for who looks for this node, 0700
backups/      what a backup is being copied from
keys/         the private key that opens this node's secrets, 0700
audit/        who did what, each record chained to the one before
log/ events/ spool/ joblogs/ artifacts/ state.sqlite
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from actors.errors import DataDirectory
from actors.model.ids import make_id

__all__ = ["FORMAT", "NodeDirectory", "filling", "new_node_id", "write_atomically"]

# 2: the log has records of a cluster's consensus, and the image says where that stands. A node that
# knows only 1 can't go on from it; what 1 wrote is read as it is.
FORMAT: Final = 2
_READ: Final = ("1", str(FORMAT))
_UNFINISHED: Final = "restore not finished"
_LOST_AND_FOUND: Final = "lost+found"


class NodeDirectory:
    """An opened, locked data directory."""

    def __init__(self, path: Path, lock_fd: int, identity: dict[str, Any]) -> None:
        self.path = path
        self._lock_fd = lock_fd
        self._identity = identity

    @classmethod
    def open(cls, path: Path, *, new_id: str) -> NodeDirectory:
        """Open or create a directory and lock it; a new one gets `new_id`. Raises DataDirectory."""
        path = path.absolute()
        try:
            for folder in (path, path / "run"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (path / "run").chmod(0o700)
            _check_writable(path)
            lock_fd = _lock(path)
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from None
        try:
            _check_format(path)
            identity = _identity(path, new_id)
        except BaseException:
            os.close(lock_fd)
            raise
        return cls(path, lock_fd, identity)

    @property
    def node_id(self) -> str:
        """This node's id, minted with the directory."""
        return str(self._identity["id"])

    @property
    def cluster_id(self) -> str:
        """The id of the cluster: a node alone is one of its own."""
        return str(self._identity["cluster"])

    def belong(self, cluster: str) -> None:
        """Be of a cluster: durable when this returns. Raises DataDirectory."""
        if cluster != self.cluster_id:
            self._replace(self._identity | {"cluster": cluster})

    @property
    def incarnation(self) -> int:
        """The incarnation last taken."""
        return int(self._identity["incarnation"])

    def next_incarnation(self) -> int:
        """Take the next incarnation: durable when this returns. Raises DataDirectory."""
        self._replace(self._identity | {"incarnation": self.incarnation + 1})
        return self.incarnation

    def _replace(self, identity: dict[str, Any]) -> None:
        write_atomically(self.path / "node.json", json.dumps(identity).encode(), sync=True)
        self._identity = identity

    @property
    def run(self) -> Path:
        """Where sockets and what others need to find this node live."""
        return self.path / "run"

    def close(self) -> None:
        """Let another process have the directory."""
        os.close(self._lock_fd)


@contextmanager
def filling(path: Path, *, new_id: str) -> Iterator[None]:
    """Have an empty directory filled in the body, and become a new node's of a new cluster.

    Cut short, it is no node's: its `format` says so. When the body fails it is empty again.
    Raises DataDirectory when it is not empty, or can't be written to.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {entry.name for entry in path.iterdir()} - {_LOST_AND_FOUND}
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    if found:
        raise DataDirectory(
            f"{path} is not empty: it holds {min(found)}", remedy="name an empty directory"
        )
    write_atomically(path / "format", f"{_UNFINISHED}\n".encode(), sync=True)
    try:
        yield
        identity = {"id": new_id, "cluster": new_id, "incarnation": 0}
        write_atomically(path / "node.json", json.dumps(identity).encode(), sync=True)
        write_atomically(path / "format", f"{FORMAT}\n".encode(), sync=True)
    except BaseException:
        for entry in path.iterdir():
            if entry.is_dir() and entry.name != _LOST_AND_FOUND:
                shutil.rmtree(entry)
            elif not entry.is_dir():
                entry.unlink()
        raise


def new_node_id() -> str:
    """Mint the id of a new node."""
    return make_id(time.time_ns() // 1_000_000, secrets.randbits(80))


def write_atomically(path: Path, content: bytes, *, sync: bool = False, mode: int = 0o600) -> None:
    """Replace a file as a whole: readers see the old content or the new one.

    Raises DataDirectory when it can't be written; the old content then stands.
    """
    try:
        _replace(path, content, sync, mode)
    except OSError as error:
        raise DataDirectory(
            f"{path} can't be written: {error.strerror}",
            remedy="make room on its disk, or mend its owner and permissions",
        ) from None


def _replace(path: Path, content: bytes, sync: bool, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "wb", opener=partial(os.open, mode=mode)) as file:
        file.write(content)  # all of it, or it raises
        file.flush()
        if sync:
            os.fsync(file.fileno())
    temporary.replace(path)
    if sync:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _check_writable(path: Path) -> None:
    """All of it, before any of it is changed: a part may be another user's."""
    for entry in path.iterdir():
        if not os.access(entry, os.W_OK):
            raise _unusable(path, f"{entry.name} is not writable")


def _unusable(path: Path, why: str) -> DataDirectory:
    return DataDirectory(
        f"the data directory {path} can't be used: {why}",
        remedy="give another one with --data, or mend its owner and permissions",
    )


def _lock(path: Path) -> int:
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise DataDirectory(
            f"the data directory {path} is in use by process {holder}",
            remedy="stop that node, or give this one another directory with --data",
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _check_format(path: Path) -> None:
    file = path / "format"
    if not file.exists():
        if (path / "log").exists():
            raise DataDirectory(
                f"{path} holds a log but no `format` file",
                remedy="restore the file from a backup; this directory may be a partial copy",
            )
        write_atomically(file, f"{FORMAT}\n".encode(), sync=True)
        return
    text = file.read_text().strip()
    if text == _UNFINISHED:
        raise DataDirectory(
            f"the restore into {path} was cut short", remedy="remove the directory, restore again"
        )
    if text not in _READ:
        raise DataDirectory(
            f"the data directory {path} has format {text[:20]!r}, this node reads format {FORMAT}",
            remedy="start it with the JobD version that wrote it",
        )
    if text != str(FORMAT):
        write_atomically(file, f"{FORMAT}\n".encode(), sync=True)


def _identity(path: Path, new_id: str) -> dict[str, Any]:
    file = path / "node.json"
    if not file.exists():
        if (path / "log").exists():
            raise DataDirectory(
                f"{path} holds a log but no `node.json`",
                remedy="restore the file from a backup; a node must not lose its identity",
            )
        identity: dict[str, Any] = {"id": new_id, "cluster": new_id, "incarnation": 0}
        write_atomically(file, json.dumps(identity).encode(), sync=True)
        return identity
    try:
        identity = json.loads(file.read_text())
        if not isinstance(identity["id"], str) or not isinstance(identity["incarnation"], int):
            raise TypeError("id and incarnation have other types")
    except (ValueError, KeyError, TypeError) as error:
        raise DataDirectory(
            f"{file} is damaged: {error}",
            remedy="restore it from a backup; its incarnation must not go back",
        ) from None
    return identity
