"""Where a data directory's job supervisor is reached."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

__all__ = ["RUN_MODE", "bind", "connect", "run_directory"]

RUN_MODE: Final = 0o700
_SOCKET: Final = "jobs.sock"


def run_directory(data: Path) -> Path:
    """Return the directory of sockets and locks; only the node's user may enter it."""
    return data / "run"


def bind(data: Path) -> socket.socket:
    """Return a socket bound in place of an earlier supervisor's; its lock must be held."""
    run = run_directory(data)
    (run / _SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    directory = os.open(run, os.O_PATH | os.O_DIRECTORY)
    try:
        # A socket's path has at most 107 bytes; through the descriptor any directory is short.
        listener.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
    finally:
        os.close(directory)
    return listener


def connect(data: Path) -> socket.socket:
    """Return a connected, non-blocking socket. Raises OSError when nobody serves."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        directory = os.open(run_directory(data), os.O_PATH | os.O_DIRECTORY)
        try:
            connection.settimeout(1.0)
            connection.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection
