"""Which process has the other end of a connection on loopback, from /proc."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["owner_of"]

_ADDRESS, _INODE = 1, 9  # columns of /proc/net/tcp
_LOOPBACK: Final = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), 'little'):08X}"


def owner_of(port: int, pids: Iterable[int]) -> int | None:
    """Return which of these processes has the TCP socket that is bound to 127.0.0.1:`port`."""
    inode = _inode_of(f"{_LOOPBACK}:{port:04X}")
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    return next((pid for pid in pids if _has(pid, wanted)), None)


def _inode_of(address: str) -> str | None:
    with Path("/proc/self/net/tcp").open() as table:
        for line in table:
            row = line.split()
            if row[_ADDRESS] == address and row[_INODE] != "0":
                return row[_INODE]
    return None


def _has(pid: int, wanted: str) -> bool:
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as fds:  # it is gone
        for fd in fds:
            with suppress(OSError):
                if os.readlink(fd.path) == wanted:  # noqa: PTH115 - of an entry, not a path
                    return True
    return False
