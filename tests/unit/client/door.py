"""A door on a real port in a thread of its own, over the gateway in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from actors import addresses
from actors.errors import Unauthenticated
from actors.runtime import LoopHost, Principal
from actors.runtime.hello import Hello
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from jobd.api.message import ApiRequest
from jobd.api.principal import authenticate
from jobd.node.door import ApiDoor
from tests.unit.http.memory_gateway import MemoryGateway

__all__ = ["Door", "served_door"]

P = ParamSpec("P")
T = TypeVar("T")


class Door:
    """`do` runs something on the node's loop."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.token = self.gateway.mint()
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._incarnation = 0
        self.serve(0)

    def serve(self, port: int) -> None:
        """Be a new process of the node."""
        self._incarnation += 1
        self.wait(self._serve(port))

    async def _serve(self, port: int) -> None:
        self.host = LoopHost()
        self.host.spawn(lambda: ApiDoor(self.gateway, lambda: self.gateway.now_ms), addresses.API)
        vocabulary = Vocabulary((ApiRequest,))
        vocabulary.expose(ApiRequest, "")
        self.link = Link(
            self.host,
            f"tcp://127.0.0.1:{port or '*'}",
            node="n1",
            incarnation=self._incarnation,
            vocabulary=vocabulary,
            admit=self._admit,
        )
        self.address = self.link.endpoint.removeprefix("tcp://")

    def _admit(self, hello: Hello) -> Principal:
        found = authenticate(self.gateway.view, f"Bearer {hello.token}", self.gateway.now_ms)
        if found is None:
            raise Unauthenticated("no such token")
        return Principal(found.token_id, frozenset(found.scopes))

    def stop_serving(self) -> None:
        self.wait(self._stop_serving())

    async def _stop_serving(self) -> None:
        self.link.close()
        await self.host.shutdown()

    def restart(self) -> None:
        """End, and begin anew at the same port."""
        self.stop_serving()
        self.serve(int(self.address.rpartition(":")[2]))

    def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async def run() -> T:
            return function(*args, **kwargs)

        return self.wait(run())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        self.stop_serving()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def served_door() -> Iterator[Door]:
    door = Door()
    try:
        yield door
    finally:
        door.close()
