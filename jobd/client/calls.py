"""How the blocking client performs operations: over which connection, how often, to which node."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from actors.errors import JobdError
from jobd.api.message import ApiReply
from jobd.client.address import find_nodes
from jobd.client.artifact import Writer
from jobd.client.flow import Flow
from jobd.client.follow import Follow, Gap, items_of
from jobd.client.handles import NAMESPACE, connect_actors, find_actor
from jobd.client.operation import Again, Operation, as_it_is, operation
from jobd.client.pool import Pool
from jobd.client.retry import TIMEOUT_S, Nodes, Retry

if TYPE_CHECKING:
    from actors import ActorHandle

__all__ = ["PAGE", "Calls"]

T = TypeVar("T")
PAGE: Final = 100  # items asked for at once


class Calls:
    """What `Client` is made of; see there."""

    def __init__(
        self,
        address: str | Iterable[str] | None = None,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._nodes = Nodes(partial(find_nodes, address, token))
        self._pool = Pool(self._nodes)
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Part with the nodes."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The node that is in use."""
        return self._nodes.current

    @property
    def token(self) -> str:
        """The credential."""
        return self._nodes.token

    def api(
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
        return self.call(
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

    def call(self, asked: Operation[T]) -> T:
        """Perform an operation; see `jobd.client.retry` for when it is sent again."""
        retry = Retry(asked, self._nodes, self._timeout_s)
        while True:
            address = self.address
            try:
                with self._pool.connection(retry.left_s) as connection:
                    answer = connection.ask(asked.request, retry.left_s, asked.to)
                return asked.value_of(answer)
            except JobdError as error:
                time.sleep(retry.after(error, address))

    def watch(self, address: str, timeout_s: float | None = None) -> str:
        """Wait until an actor of the node has ended for good and return the reason.

        Raises AskTimeout when the time is over, ActorUnavailable when the link breaks.
        """
        with self._pool.connection(self._timeout_s) as connection:
            return connection.watch(address, timeout_s)

    def connect_actors(self) -> None:
        """Link this process to the node: `actors.connect`, with this client's address and token.

        From then on other processes find the named actors of this one. A process has one link, so
        one that is there stays. Raises ActorUnavailable, Unauthenticated, Forbidden, Conflict.
        """
        connect_actors(self.address, self._nodes.token)

    def get_actor(self, name: str, *, namespace: str = NAMESPACE) -> ActorHandle:
        """Return a handle of the user's actor that has a name. Raises NotFound.

        Its calls go over the process's own link, which the first use makes.
        """
        return find_actor(self.address, self._nodes.token, name, namespace)

    def run(self, flow: Flow[T]) -> T:
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
                answer, failed = self.call(asked), None
            except JobdError as error:
                failed = error

    def pages(
        self, page_of: Callable[[str | None, int], Operation[Any]], limit: int | None
    ) -> Generator[Any, None, None]:
        """Yield the items of a list, page by page."""
        cursor = None
        while True:
            page = self.call(page_of(cursor, min(limit or PAGE, PAGE)))
            for item in page.items:
                yield item
                if limit is not None:
                    limit -= 1
                    if limit == 0:
                        return
            cursor = page.next_cursor
            if cursor is None:
                return

    def follow(self, stream: Follow[T]) -> Generator[T | Gap, None, None]:
        """Yield a stream's items, across broken links."""
        retry = Retry(stream.operation, self._nodes, self._timeout_s)
        while not stream.is_over:
            address = self.address
            try:
                yield from self._follow_once(stream, retry)
            except JobdError as error:
                time.sleep(retry.after(error, address))

    def _follow_once(self, stream: Follow[T], retry: Retry) -> Generator[T | Gap, None, None]:
        with self._pool.connection(retry.left_s) as connection:
            reading = connection.read(stream.request())
            try:
                # A caller who was away for long finds the link lost: it goes on over another.
                while connection.is_fresh and connection.has_next(reading):
                    retry.reset()
                    for item in items_of(connection.take(reading)):
                        told = stream.read(item)
                        if told is not None:
                            yield told
            finally:
                connection.cancel(reading)
            if reading.done:
                stream.operation.value_of(reading.result())

    def fetch(self, asked: Operation[bytes], writer: Writer) -> None:
        """Write the bytes that an operation answers with, in pieces or at once."""
        retry = Retry(asked, self._nodes, self._timeout_s)
        while True:
            address = self.address
            writer.restart()
            try:
                with self._pool.connection(retry.left_s) as connection:
                    reading = connection.read(asked.request)
                    while connection.has_next(reading):
                        writer.write(connection.take(reading))
                    writer.write(asked.value_of(reading.result()))
                return
            except JobdError as error:
                time.sleep(retry.after(error, address))
