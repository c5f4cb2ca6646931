"""The network between the nodes of a test: on loopback, through the proxy of `jobd dev`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from jobd.dev.proxy import Proxy
from jobd.dev.socket_owner import owner_of

__all__ = ["Loopback"]

T = TypeVar("T")


class Loopback:
    """A front for each node, on a loop in a thread of its own.

    `pids()`: the processes of the nodes that run, by name.
    """

    def __init__(self, pids: Callable[[], dict[str, int]]) -> None:
        self._pids = pids
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxy = Proxy(self._who)

    def _who(self, port: int) -> str:
        by_pid = {pid: name for name, pid in self._pids().items()}
        owner = owner_of(port, by_pid)
        return by_pid[owner] if owner is not None else ""

    def add(self, node: str, behind: int) -> str:
        """Give a node a front that leads to this port; return HOST:PORT."""
        port = self._do(self._proxy.add(node))
        self._call(self._proxy.lead, node, behind)
        return f"127.0.0.1:{port}"

    def cut(self, sender: str, receiver: str) -> None:
        """Have what one node sends not reach another."""
        self._call(self._proxy.cut, sender, receiver)

    def heal(self, sender: str, receiver: str) -> None:
        """End a cut."""
        self._call(self._proxy.heal, sender, receiver)

    def close(self) -> None:
        """End the thread and all connections."""
        self._do(self._proxy.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, function: Callable[..., object], *args: object) -> None:
        async def call() -> None:
            function(*args)

        self._do(call())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
