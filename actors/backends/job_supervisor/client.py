"""The node's side of the job supervisor: connect, start it if need be, exchange frames."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from actors.backends.job_supervisor.endpoint import RUN_MODE, connect, run_directory
from actors.backends.job_supervisor.spawn import base_environment
from actors.core.supervisor_protocol import (
    FRAME_BYTES,
    VERSION,
    FrameReader,
    Held,
    Hello,
    Listing,
    NodeFrame,
    Refused,
    SupervisorFrame,
    Welcome,
    encode_frame,
)
from actors.errors import Busy, Conflict, InvalidInput, Unavailable

__all__ = ["SupervisorClient"]

_BACKLOG_BYTES: Final = 4 * FRAME_BYTES
_CONNECT_S: Final = 10.0
_GREET_S: Final = 5.0
_START_S: Final = 1.0
_RETRY_S: Final = 0.02


class SupervisorClient(asyncio.Protocol):
    """One connection. `on_frame` gets what the supervisor says after its Welcome, on the loop.

    `on_lost` is called once when a connection that was open ends without `close`; the client may
    then connect again (the jobs go on, or a new instance reports them).
    """

    def __init__(
        self,
        data: Path,
        node_id: str,
        incarnation: int,
        on_frame: Callable[[SupervisorFrame], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._data = data
        self._hello = Hello(VERSION, node_id, incarnation)
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(SupervisorFrame)
        self._welcome: asyncio.Future[Welcome] | None = None
        self._listed: list[Held] = []

    async def connect(self) -> Welcome:
        """Connect, starting a supervisor when none serves the data directory.

        Raises Unavailable when none comes up in time, Conflict when it refuses this node (a newer
        incarnation was there, or it speaks another version).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CONNECT_S
        start_at = loop.time()
        starters: list[int] = []
        try:
            while True:
                try:
                    return await self._greet(connect(self._data))
                except OSError as error:
                    if loop.time() >= deadline:
                        raise Unavailable(
                            f"the job supervisor did not come up: {error}",
                            remedy=f"see {run_directory(self._data) / 'jobs.err'}",
                        ) from error
                if loop.time() >= start_at:  # again, as a dying one may hold the lock yet
                    starters.append(self._start())
                    start_at = loop.time() + _START_S
                await asyncio.sleep(_RETRY_S)
        finally:
            for starter in starters:  # each forks itself away from us and ends
                while os.waitpid(starter, os.WNOHANG) == (0, 0):
                    await asyncio.sleep(_RETRY_S)

    async def _greet(self, connection: socket.socket) -> Welcome:
        """Say Hello and wait for Welcome. Raises Conflict, or OSError when the other side went."""
        loop = asyncio.get_running_loop()
        self._reader = FrameReader(SupervisorFrame)
        self._listed = []
        self._welcome = loop.create_future()
        await loop.create_unix_connection(lambda: self, sock=connection)
        self.send(self._hello)
        try:
            return await asyncio.wait_for(self._welcome, _GREET_S)
        except BaseException:
            await self.close()
            raise

    def send(self, frame: NodeFrame) -> None:
        """Queue a frame; never waits. Raises Busy above the bound, Unavailable if not connected."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Unavailable("the job supervisor is not connected")
        if transport.get_write_buffer_size() > _BACKLOG_BYTES:
            raise Busy("the job supervisor does not read")
        transport.write(encode_frame(frame))

    async def close(self) -> None:
        """Disconnect; the jobs go on."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Hand frames on; a supervisor that talks nonsense is left."""
        try:
            frames = self._reader.feed(data)
        except InvalidInput:
            assert self._transport is not None
            self._transport.abort()
            return
        for frame in frames:
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        lost = self._transport is not None
        self._transport = None
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(ConnectionResetError("it went away"))
        elif lost:
            self._on_lost()

    def _take(self, frame: SupervisorFrame) -> None:
        if self._welcome is not None and not self._welcome.done():
            if isinstance(frame, Welcome):
                self._welcome.set_result(frame)
            elif isinstance(frame, Refused):
                self._welcome.set_exception(Conflict(frame.reason))
            return
        if isinstance(frame, Listing):
            self._listed += frame.held
            if frame.more:
                return
            frame, self._listed = Listing(tuple(self._listed)), []
        self._on_frame(frame)

    def _start(self) -> int:
        """Spawn the supervisor, which forks itself away from us; return the pid to wait for."""
        run_directory(self._data).mkdir(mode=RUN_MODE, parents=True, exist_ok=True)
        command = ("-I", "-m", "actors.backends.job_supervisor", "--data", str(self._data))
        return os.posix_spawn(
            sys.executable,
            (sys.executable, *command),
            base_environment(os.environ),
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
