"""The node's port to its job supervisor: connects in the background, again until it succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from actors.core.supervisor_protocol import NodeFrame, SupervisorFrame
from actors.errors import Busy, JobdError, Unavailable

__all__ = ["ReconnectingPort"]

_PAUSE_S = 0.2


class _Client(Protocol):
    async def connect(self) -> SupervisorFrame: ...
    def send(self, frame: NodeFrame) -> None: ...
    async def close(self) -> None: ...


class ReconnectingPort:
    """Implements SupervisorPort over a client for each connection.

    `connect_as(on_frame, on_lost)` makes a client; frames and losses go to the link's actor.
    """

    def __init__(
        self,
        connect_as: Callable[[Callable[[SupervisorFrame], None], Callable[[], None]], _Client],
        *,
        on_frame: Callable[[SupervisorFrame], None],
        on_lost: Callable[[], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._connect_as = connect_as
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._on_trouble = on_trouble
        self._client: _Client | None = None
        self._opening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to connect, unless that is under way."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        while True:
            if self._client is not None:
                await self._client.close()
            self._client = self._connect_as(self._on_frame, self._on_lost)
            try:
                welcome = await self._client.connect()
            except (JobdError, OSError) as error:
                self._on_trouble(str(error))
                await asyncio.sleep(_PAUSE_S)
            else:
                self._on_frame(welcome)
                return

    def send(self, frame: NodeFrame) -> None:
        """Queue a frame on the present connection; without one it is dropped.

        One that does not read is left: the next connection begins with a Listing.
        """
        if self._client is None:
            return
        try:
            self._client.send(frame)
        except Busy:
            self.open()
        except Unavailable:
            pass  # lost: on_lost follows, and opens anew

    async def close(self) -> None:
        """Leave the supervisor, which goes on by itself."""
        if self._opening is not None:
            self._opening.cancel()
        if self._client is not None:
            await self._client.close()
