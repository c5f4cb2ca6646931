"""Where a message came from, as the connection itself knows it, whatever the message says."""

from __future__ import annotations

import os
import socket
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

__all__ = ["UNKNOWN", "Origin", "Socket", "ends_of", "origin_of"]

Socket = tuple[str, int]  # host and port


class Origin(NamedTuple):
    """One connection: the public CURVE key that it proved, empty without encryption; its ends.

    `descriptor` is the socket's, -1 when it is not known; it may be another's by now.
    """

    key: bytes = b""
    local: Socket = ("", 0)
    remote: Socket = ("", 0)
    descriptor: int = -1


UNKNOWN: Final = Origin()


def origin_of(frame: zmq.Frame) -> Origin:
    """Return where a frame came from."""
    try:
        key = bytes(z85.decode(str(frame.get("User-Id"))))
    except zmq.ZMQError:
        key = b""
    descriptor = frame.get(zmq.SRCFD)
    ends = ends_of(descriptor) if isinstance(descriptor, int) else None
    if ends is None or not isinstance(descriptor, int):
        return Origin(key)
    return Origin(key, *ends, descriptor)


def ends_of(descriptor: int) -> tuple[Socket, Socket] | None:
    """Return both ends of a TCP connection, None when the descriptor is not one's any more."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as held:
            if held.family not in (socket.AF_INET, socket.AF_INET6):
                return None
            here, there = held.getsockname(), held.getpeername()
    except OSError:
        return None
    return (str(here[0]), int(here[1])), (str(there[0]), int(there[1]))
