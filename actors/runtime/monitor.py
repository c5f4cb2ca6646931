"""What becomes of the connections of a ZeroMQ socket, told on the event loop."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from itertools import count
from typing import Final

import zmq

__all__ = ["FAILED", "Monitor"]

_NUMBERS: Final = count(1)
_EVENT: Final = struct.Struct("=HI")
# How a connection ends, or doesn't come about, and what that means.
FAILED: Final = {
    int(zmq.EVENT_CLOSED): "nobody listens there",
    int(zmq.EVENT_DISCONNECTED): "its connection is gone",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "its connection is gone",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "it has another key, or none, or isn't a node",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "it doesn't know this node's key",
}


class Monitor:
    """Calls `on_event(event, value)` for what happens; the value is a descriptor or an error.

    The queue of events has no bound, else ZeroMQ's own thread would wait for this loop.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        socket: zmq.Socket[bytes],
        events: int,
        on_event: Callable[[int, int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._on_event = on_event
        self._pair = context.socket(zmq.PAIR)
        self._pair.linger = 0
        self._pair.rcvhwm = 0
        address = f"inproc://monitor-{next(_NUMBERS)}"
        socket.monitor(address, events)
        self._pair.connect(address)
        self._descriptor = int(self._pair.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self.read)
        self._loop.call_soon(self.read)

    def read(self) -> None:
        """Tell of what has happened so far."""
        while not self._pair.closed and int(self._pair.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = self._pair.recv(zmq.NOBLOCK)
            self._pair.recv(zmq.NOBLOCK)  # the endpoint
            self._on_event(*_EVENT.unpack(event))

    def close(self) -> None:
        """Tell no more."""
        if not self._pair.closed:
            self._loop.remove_reader(self._descriptor)
            self._socket.disable_monitor()
            self._pair.close()
