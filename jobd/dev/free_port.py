"""A port for a process that must be told its own before it starts, and keep it."""

from __future__ import annotations

import random
import socket
from typing import Final

__all__ = ["free_port"]

# Below those that Linux gives to whoever asks for any: what is free now stays free until its
# process takes it. Chosen at random, since others choose at the same time.
_FIRST: Final = 20_000
_LAST: Final = 32_000


def free_port() -> int:
    """Return a port of loopback that is free, and that nobody gets by asking for any."""
    while True:
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
