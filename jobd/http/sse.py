"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

The socket's back-pressure holds the generator that reads what is new, so a slow listener costs
itself only and nothing is queued for it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self
from weakref import WeakSet

import msgspec
from aiohttp import web

from actors import limits
from actors.errors import Busy
from jobd.api.call import Item
from jobd.api.route import SSE

__all__ = ["EventStream", "end_streams"]

RETRY_MS: Final = 2_000
_HEARTBEAT: Final = b"event: heartbeat\ndata: {}\n\n"


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

    async def send(self, items: list[Item]) -> None:
        """Write items in one go; none is a heartbeat: a listener sees life, a dead socket shows.

        The heartbeat is an event of its own, since programs in a browser see no comments, and has
        no id: it is no place to resume at.
        """
        frames = b"".join(map(_frame, items)) if items else _HEARTBEAT
        await self.response.write(frames)


def _frame(item: Item) -> bytes:
    """Return one event; `data` becomes JSON, which never has a line break of its own."""
    head = f"id: {item.id}\nevent: {item.event}\n" if item.id else f"event: {item.event}\n"
    return head.encode() + b"data: " + msgspec.json.encode(item.data) + b"\n\n"


def end_streams(app: web.Application) -> None:
    """Make the app end its streams at shutdown, so that none holds a stopping node."""
    app[_OPEN] = _Open()

    async def cancel_all(app: web.Application) -> None:
        for task in list(app[_OPEN].tasks):
            task.cancel()

    app.on_shutdown.append(cancel_all)
