"""The network between the nodes of a test: on loopback, through the proxy of `jobd dev`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Protocol, TypeVar

from jobd.dev.proxy import Proxy
from jobd.dev.socket_owner import owner_of

__all__ = ["Direct", "Loopback", "Network"]

T = TypeVar("T")


class Network(Protocol):
    """What joins nodes, and can be cut. `needs_keys`: they are not on one machine's loopback."""

    needs_keys: ClassVar[bool]

    def host(self, node: str) -> str:
        """Return the host at which this process reaches what a node binds to on its loopback."""

    def prefix(self, node: str) -> tuple[str, ...]:
        """Return what runs a command where the node is, as the same process."""

    def add(self, node: str, address: str) -> str:
        """Return where the other nodes reach what one serves at its HOST:PORT."""

    def cut(self, sender: str, receiver: str) -> None:
        """Have what one node sends not reach another."""

    def heal(self, sender: str, receiver: str) -> None:
        """End a cut."""

    def close(self) -> None:
        """End it."""


class Direct:
    """Loopback as it is: for measuring, for it can't be cut."""

    needs_keys: ClassVar[bool] = False

    def host(self, node: str) -> str:
        return "127.0.0.1"

    def prefix(self, node: str) -> tuple[str, ...]:
        return ()

    def add(self, node: str, address: str) -> str:
        return address

    def cut(self, sender: str, receiver: str) -> None:
        raise NotImplementedError("a direct network can't be cut")

    def heal(self, sender: str, receiver: str) -> None:
        pass

    def close(self) -> None:
        pass


class Loopback:
    """A front for each node, on a loop in a thread of its own.

    `pids()`: the processes of the nodes that run, by name.
    """

    needs_keys: ClassVar[bool] = False

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

    def host(self, node: str) -> str:
        return "127.0.0.1"

    def prefix(self, node: str) -> tuple[str, ...]:
        return ()

    def add(self, node: str, address: str) -> str:
        port = self._do(self._proxy.add(node))
        self._call(self._proxy.lead, node, int(address.rpartition(":")[2]))
        return f"127.0.0.1:{port}"

    def cut(self, sender: str, receiver: str) -> None:
        self._call(self._proxy.cut, sender, receiver)

    def heal(self, sender: str, receiver: str) -> None:
        self._call(self._proxy.heal, sender, receiver)

    def close(self) -> None:
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
