"""A TCP proxy before each node's cluster port: a network that can be cut, without root.

Every node says that it is reached at its front, so whatever goes from node to node comes through
here. Rules:
1. A cut is of one direction, by who sends, whoever dialed: what it sends is held, ends of
   connections included, as a network that drops packets has TCP hold it. Nothing is reset.
2. What was held arrives after healing, if both ends of its connection still want it.
3. Who dials is told by the process that has the socket. Who is no node is never cut off.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["Proxy"]

_CHUNK_BYTES: Final = 1 << 18


class Proxy:
    """The fronts of some nodes, on the running loop.

    `who(port)` is the node whose process has the loopback socket of that port, "" if none has.
    """

    def __init__(self, who: Callable[[int], str]) -> None:
        self._who = who
        self._servers: list[asyncio.Server] = []
        self._targets: dict[str, int] = {}
        self._open: defaultdict[tuple[str, str], asyncio.Event] = defaultdict(_set_event)
        self._pipes: set[asyncio.Task[None]] = set()

    async def add(self, node: str, port: int = 0) -> int:
        """Listen before a node on this port of loopback, 0 picks one; return it. Raises OSError."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._take(node, reader, writer)

        server = await asyncio.start_server(accept, "127.0.0.1", port, limit=_CHUNK_BYTES)
        self._servers.append(server)
        front: int = server.sockets[0].getsockname()[1]
        return front

    def lead(self, node: str, port: int) -> None:
        """Have a node's front lead to this port of loopback."""
        self._targets[node] = port

    def cut(self, sender: str, receiver: str) -> None:
        """Hold what one node sends to another."""
        self._open[sender, receiver].clear()

    def heal(self, sender: str, receiver: str) -> None:
        """Let it through again."""
        self._open[sender, receiver].set()

    def cuts(self) -> list[tuple[str, str]]:
        """Return the cuts, (sender, receiver)."""
        return sorted(pair for pair, gate in self._open.items() if not gate.is_set())

    async def close(self) -> None:
        """Listen no more and end every connection."""
        for server in self._servers:
            server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def _take(self, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialer = self._who(writer.get_extra_info("peername")[1])
        task = asyncio.ensure_future(self._connect(dialer, node, reader, writer))
        self._pipes.add(task)
        task.add_done_callback(self._pipes.discard)

    async def _connect(
        self, dialer: str, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._open[dialer, node].wait()
        try:
            behind, before = await asyncio.open_connection(
                "127.0.0.1", self._targets[node], limit=_CHUNK_BYTES
            )
        except OSError:  # it does not run
            writer.close()
            return
        try:
            await asyncio.gather(
                self._pipe(self._open[dialer, node], reader, before),
                self._pipe(self._open[node, dialer], behind, writer),
            )
        finally:
            before.close()
            writer.close()

    async def _pipe(
        self, gate: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one direction until its end, which is carried too."""
        with suppress(OSError):  # one side broke it: so it is for the other, once that is heard
            while data := await reader.read(_CHUNK_BYTES):
                await gate.wait()
                writer.write(data)
                await writer.drain()
        await gate.wait()
        writer.close()


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
