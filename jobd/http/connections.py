"""What stands before aiohttp on every connection: how many there are, and how long each may dawdle.

Rules of this file:
C1  Above the bound a connection is told 503 and closed; it costs no request and no task.
C2  A request's head has HEAD_TIMEOUT_S from its first byte, a new connection as long to send one
    (slowloris). Between two requests aiohttp's keep-alive time holds; the body has its own bound.
C3  Who takes nothing of an answer for STALLED_S is cut off: a stopped listener holds no buffer for
    ever. One byte in that time is progress only when it lets the buffer shrink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from actors import limits

__all__ = ["Connections", "GuardedRunner", "note_arrival"]

_SWEEP_S: Final = 1.0
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class Connections:
    """The open connections of one port."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._deadlines: dict[_Connection, float] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def guard(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """Return the protocol that stands before aiohttp's."""
        return _Connection(self, protocol)

    def enter(self) -> bool:
        """Count a connection in, or say that there is no room (C1)."""
        if self._count >= self._most:
            return False
        self._count += 1
        return True

    def leave(self, connection: _Connection) -> None:
        """Count a connection out."""
        self._count -= 1
        self.forgive(connection)

    def expect(self, connection: _Connection, within_s: float) -> None:
        """Have a connection cut off unless it is forgiven in time."""
        loop = asyncio.get_running_loop()
        self._deadlines[connection] = loop.time() + within_s
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_S, self._cut_off_late)

    def forgive(self, connection: _Connection) -> None:
        """It did what was expected of it."""
        self._deadlines.pop(connection, None)

    def awaited(self, connection: _Connection) -> bool:
        """Say whether something is expected of a connection."""
        return connection in self._deadlines

    def _cut_off_late(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for connection in [c for c, at_s in self._deadlines.items() if at_s <= now_s]:
            del self._deadlines[connection]
            connection.cut_off()
        self._sweep = loop.call_later(_SWEEP_S, self._cut_off_late) if self._deadlines else None


class _Connection(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and keeps the time."""

    def __init__(self, all_: Connections, inner: asyncio.Protocol) -> None:
        self._all = all_
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        stream: Any = transport
        if not self._all.enter():
            stream.write(_FULL)
            stream.close()
            return
        self._transport = stream
        self._all.expect(self, limits.HEAD_TIMEOUT_S)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._all.leave(self)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if not self._answering and not self._all.awaited(self):
            self._all.expect(self, limits.HEAD_TIMEOUT_S)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._all.expect(self, limits.STALLED_S)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._all.forgive(self)
        self._inner.resume_writing()

    def arrived(self) -> None:
        """A request's head is complete; what comes until its answer is its body."""
        self._answering = True
        self._all.forgive(self)

    def answered(self) -> None:
        """The answer begins: the next byte that comes begins a head."""
        self._answering = False

    def cut_off(self) -> None:
        """Close without waiting for the other side."""
        assert self._transport is not None, "nothing is expected of a connection that was refused"
        self._transport.abort()


def note_arrival(request: web.Request) -> Callable[[], None]:
    """Note that a request's head is complete; return what notes that its answer begins."""
    protocol = request.transport.get_protocol() if request.transport is not None else None
    if not isinstance(protocol, _Connection):  # aiohttp's own test server
        return lambda: None
    protocol.arrived()
    return protocol.answered


class GuardedRunner(web.AppRunner):
    """An app's runner whose sites have their connections guarded."""

    def __init__(self, app: web.Application, connections: Connections, **options: Any) -> None:
        super().__init__(app, **options)
        self._connections = connections

    @property
    def server(self) -> Any:
        """What a site makes a connection's protocol with."""
        make = super().server
        if make is None:
            return None
        return lambda: self._connections.guard(make())
