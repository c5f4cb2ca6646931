"""Ports for processes that must be told theirs before they start, and keep it."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

# Below those that the kernel gives away, which another process may be given meanwhile.
_FIRST, _LAST = 20_000, 32_000
_CHOICE = random.Random()


def free_port() -> int:
    """Return a port of loopback that is free now and that nobody gets by asking for any."""
    while True:
        port = _CHOICE.randint(_FIRST, _LAST)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
