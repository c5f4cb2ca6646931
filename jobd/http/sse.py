"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Streams here pull: a loop reads what is new and writes it, and the socket's back-pressure holds the
loop, so a slow listener costs itself only and nothing is queued for it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self
from weakref import WeakSet

import msgspec
from aiohttp import web

from actors import limits
from actors.errors import Busy

__all__ = ["HEARTBEAT_S", "SSE", "EventStream", "end_streams"]

SSE: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 2_000


class _Open:
    """The handlers that stream now; a handler that returned is gone by itself."""

    def __init__(self) -> None:
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()


_OPEN: Final = web.AppKey("open_streams", _Open)


class EventStream:
    """One open stream; the handler that returns its `response` closes it."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    @classmethod
    async def open(cls, request: web.Request) -> Self:
        """Send the headers and the reconnection time. Raises Busy above SSE_STREAMS."""
        streams = request.app[_OPEN].tasks
        if len(streams) >= limits.SSE_STREAMS:
            raise Busy(f"{limits.SSE_STREAMS} streams are open already (SSE_STREAMS)")
        response = web.StreamResponse(
            headers={
                "Content-Type": SSE,
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        streams.add(task)
        stream = cls(response)
        await stream.response.write(f"retry: {RETRY_MS}\n\n".encode())
        return stream

    async def send(self, frames: list[bytes]) -> None:
        """Write frames in one go."""
        if frames:
            await self.response.write(b"".join(frames))

    async def heartbeat(self) -> None:
        """Write a comment: a listener sees that the stream lives, a dead socket shows."""
        await self.response.write(b": heartbeat\n\n")

    @staticmethod
    def frame(event: str, data: Any, id_: str = "") -> bytes:
        """Return one event; `data` becomes JSON, which never has a line break of its own."""
        head = f"id: {id_}\nevent: {event}\n" if id_ else f"event: {event}\n"
        return head.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


def end_streams(app: web.Application) -> None:
    """Make the app end its streams at shutdown, so that none holds a stopping node."""
    app[_OPEN] = _Open()

    async def cancel_all(app: web.Application) -> None:
        for task in list(app[_OPEN].tasks):
            task.cancel()

    app.on_shutdown.append(cancel_all)
