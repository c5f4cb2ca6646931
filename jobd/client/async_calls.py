"""How the asyncio client performs operations: over one connection, how often, to which node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import zmq

from actors.errors import JobdError
from jobd.api.message import ApiReply
from jobd.client.address import find_nodes
from jobd.client.artifact import Writer
from jobd.client.async_connection import AsyncConnection
from jobd.client.calls import PAGE
from jobd.client.flow import Flow
from jobd.client.follow import Follow, Gap, items_of
from jobd.client.handles import NAMESPACE, connect_actors, find_actor
from jobd.client.operation import Again, Operation, as_it_is, operation
from jobd.client.others import NODES, others_told
from jobd.client.retry import TIMEOUT_S, Nodes, Retry

if TYPE_CHECKING:
    from actors import ActorHandle

__all__ = ["AsyncCalls"]

T = TypeVar("T")


class AsyncCalls:
    """What `AsyncClient` is made of; see there."""

    def __init__(
        self,
        address: str | Iterable[str] | None = None,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._nodes = Nodes(partial(find_nodes, address, token))
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._connection: AsyncConnection | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """Part with the nodes; what still waits fails."""
        self._is_closed = True
        async with self._opening:
            if self._connection is not None:
                self._connection.close()
        await asyncio.to_thread(self._context.term)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def address(self) -> str:
        """The node that is in use."""
        return self._nodes.current

    @property
    def token(self) -> str:
        """The credential."""
        return self._nodes.token

    async def api(
        self,
        name: str,
        params: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        again: Again = "once",
        takes_s: float = 0.0,
    ) -> ApiReply:
        """Call any operation of openapi.json and return its answer as it is.

        `again="safe"` says that sending it twice is as good as once; `takes_s` is how long the node
        may take by intent. Raises what it is refused with.
        """
        return await self.call(
            operation(
                name,
                as_it_is,
                params=params,
                query=query,
                body=body,
                headers=headers,
                again=again,
                takes_s=takes_s,
            )
        )

    async def call(self, asked: Operation[T]) -> T:
        """Perform an operation; see `jobd.client.retry` for when it is sent again."""
        retry = Retry(asked, self._nodes, self._timeout_s)
        while True:
            address = self.address
            try:
                connection = await self._connect()
                answer = await connection.ask(asked.request, retry.left_s, asked.to)
                return asked.value_of(answer)
            except JobdError as error:
                await asyncio.sleep(retry.after(error, address))

    async def watch(self, address: str, timeout_s: float | None = None) -> str:
        """Wait until an actor of the node has ended for good and return the reason.

        Raises AskTimeout when the time is over, ActorUnavailable when the link breaks.
        """
        connection = await self._connect()
        return await connection.watch(address, timeout_s)

    async def connect_actors(self) -> None:
        """Link this process to the node: `actors.connect`, with this client's address and token.

        From then on other processes find the named actors of this one. A process has one link, so
        one that is there stays. Raises ActorUnavailable, Unauthenticated, Forbidden, Conflict.
        """
        await asyncio.to_thread(connect_actors, self.address, self._nodes.token)

    async def get_actor(self, name: str, *, namespace: str = NAMESPACE) -> ActorHandle:
        """Return a handle of the user's actor that has a name. Raises NotFound.

        Its calls go over the process's own link, which the first use makes.
        """
        token = self._nodes.token
        return await asyncio.to_thread(find_actor, self.address, token, name, namespace)

    async def run(self, flow: Flow[T]) -> T:
        """Perform what is made of several operations."""
        answer: Any = None
        failed: JobdError | None = None
        while True:
            try:
                asked = flow.send(answer) if failed is None else flow.throw(failed)
            except StopIteration as done:
                value: T = done.value
                return value
            try:
                answer, failed = await self.call(asked), None
            except JobdError as error:
                failed = error

    async def pages(
        self, page_of: Callable[[str | None, int], Operation[Any]], limit: int | None
    ) -> AsyncGenerator[Any, None]:
        """Yield the items of a list, page by page."""
        cursor = None
        while True:
            page = await self.call(page_of(cursor, min(limit or PAGE, PAGE)))
            for item in page.items:
                yield item
                if limit is not None:
                    limit -= 1
                    if limit == 0:
                        return
            cursor = page.next_cursor
            if cursor is None:
                return

    async def follow(self, stream: Follow[T]) -> AsyncGenerator[T | Gap, None]:
        """Yield a stream's items, across broken links."""
        retry = Retry(stream.operation, self._nodes, self._timeout_s)
        while not stream.is_over:
            address = self.address
            try:
                items = self._follow_once(stream, retry)
                async with aclosing(items):
                    async for item in items:
                        yield item
            except JobdError as error:
                await asyncio.sleep(retry.after(error, address))

    async def _follow_once(self, stream: Follow[T], retry: Retry) -> AsyncGenerator[T | Gap, None]:
        connection = await self._connect()
        reading = connection.read(stream.request())
        try:
            while await connection.has_next(reading):
                retry.reset()
                for item in items_of(connection.take(reading)):
                    told = stream.read(item)
                    if told is not None:
                        yield told
        finally:
            connection.cancel(reading)
        stream.operation.value_of(reading.result())

    async def fetch(self, asked: Operation[bytes], writer: Writer) -> None:
        """Write the bytes that an operation answers with, in pieces or at once."""
        retry = Retry(asked, self._nodes, self._timeout_s)
        while True:
            address = self.address
            writer.restart()
            try:
                connection = await self._connect()
                reading = connection.read(asked.request)
                while await connection.has_next(reading):
                    writer.write(connection.take(reading))
                writer.write(asked.value_of(reading.result()))
                return
            except JobdError as error:
                await asyncio.sleep(retry.after(error, address))

    async def _connect(self) -> AsyncConnection:
        """Return the connection to the node in use, a new one when there is none.

        Raises ActorUnavailable when the node can't be reached, or as the node refuses.
        """
        connection = self._connection
        if connection is not None and self._is_good(connection):
            return connection
        async with self._opening:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            connection = self._connection
            if connection is None or not self._is_good(connection):
                if connection is not None:
                    connection.close()
                address, token = self.address, self._nodes.token
                connection = await AsyncConnection.open(self._context, address, token)
                self._connection = connection
                if self._nodes.asks_for_others:
                    answer = await connection.ask(NODES.request, self._timeout_s, NODES.to)
                    self._nodes.told(others_told(answer, address))
                self._nodes.reached = True
        return connection

    def _is_good(self, connection: AsyncConnection) -> bool:
        return connection.error is None and connection.address == self.address
