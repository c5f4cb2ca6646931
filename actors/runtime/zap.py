"""Who may connect with which key: ZeroMQ asks for each CURVE connection (ZAP, RFC 27).

Without an answerer a CURVE socket lets in whoever knows its public key. This one is on the loop and
answers at once, so it never keeps ZeroMQ's own thread waiting longer than the loop's tick.
"""

from __future__ import annotations

import asyncio
from typing import Final

import zmq
from zmq.utils import z85

from actors.runtime.keys import Allow

__all__ = ["Zap"]

_ADDRESS: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_FRAMES: Final = 7  # version, request, domain, address, identity, mechanism, key


class Zap:
    """Answers for all sockets of a context. Make it before they are bound."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allow: Allow) -> None:
        self._loop = asyncio.get_running_loop()
        self._allow = allow
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ADDRESS)
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._read)
        self._loop.call_soon(self._read)

    def _read(self) -> None:
        socket = self._socket
        while not socket.closed and int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            socket.send_multipart(self._answer(socket.recv_multipart(zmq.NOBLOCK)))

    def _answer(self, request: list[bytes]) -> list[bytes]:
        number = request[1] if len(request) > 1 else b""
        is_curve = len(request) == _FRAMES and request[5] == b"CURVE"
        if not is_curve or not self._allow(request[6]):
            return [_VERSION, number, b"400", b"the key is not known", b"", b""]
        return [_VERSION, number, b"200", b"", z85.encode(request[6]), b""]

    def close(self) -> None:
        """Answer no more."""
        self._loop.remove_reader(self._descriptor)
        self._socket.close()
