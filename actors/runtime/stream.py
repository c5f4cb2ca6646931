"""A stream: an answer of many items, read at the reader's own pace.

Rules:
1. The reader takes at most half of its credit at a time and gives it back when it has read that,
   so that the producer has the other half meanwhile.
2. Items come out in the order of their numbers: large ones take another lane than small ones.
3. After its last item it ends, or raises the error that ended it. Its reader may close it at any
   time; the producer is told.
4. It is the host's thread that fills it; who reads it elsewhere asks that thread for each batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from actors.errors import JobdError
from actors.runtime.future import LoopFuture
from actors.runtime.outlet import Outlet

if TYPE_CHECKING:
    from actors.runtime.engine import Engine

__all__ = ["Stream", "Upstream"]

T = TypeVar("T")
_NOMINAL_BYTES: Final = 64  # of an item that is no text and no bytes, in one process


class Upstream(Protocol):
    """The way to the producer."""

    def grant(self, items: int, size: int) -> None:
        """Let it send more."""

    def cancel(self) -> None:
        """Tell it that nobody reads."""


class Stream(Generic[T]):
    """The items of an answer: `async for` on a loop, `for` in a thread without one; one reader.

    Both raise what ended the stream, if that was an error: what the producer says, Busy, or
    ActorUnavailable when the producer or the link to it was lost. Close it unless it has been read
    to its end: `async with contextlib.aclosing(stream)`, or `with contextlib.closing(stream)`.
    """

    def __init__(self, engine: Engine, items: int, size: int) -> None:
        self.credit = (items, size)
        self.value: Any = None  # what ended it, if that was an answer
        self.outlet = Outlet(engine, self, items, size)
        self.upstream: Upstream = self.outlet
        self._engine = engine
        self._items: deque[tuple[T, int]] = deque()
        self._early: dict[int, tuple[T, int]] = {}  # by number; one before them is on its way
        self._next = 1
        self._owed_items = items  # granted, and not arrived
        self._owed_bytes = size
        self._taken_items = 0
        self._taken_bytes = 0
        self._last: int | None = None  # the number of the last item, when it is known
        self.is_over = False
        self._error: BaseException | None = None
        self._waiting: LoopFuture[None] | None = None
        self._batch: deque[T] = deque()  # the reader's

    # -- the reader

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._batch:
            arrival = await self._engine.submit(self._next_batch)
            if arrival is None:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await arrival
        return self._batch.popleft()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while not self._batch:
            arrival = self._engine.on_host(self._next_batch)
            if arrival is None:
                if self._error is not None:
                    raise self._error
                raise StopIteration
            arrival.get()
        return self._batch.popleft()

    async def aclose(self) -> None:
        """Read no more, and have the producer know."""
        await self._engine.submit(self._close)

    def close(self) -> None:
        """Read no more, and have the producer know; from any thread."""
        self._engine.on_host(self._close)

    def _close(self) -> None:
        if not self.is_over:
            self._over(None)
            self.upstream.cancel()
        self._items.clear()
        self._batch.clear()

    def _arrival(self) -> LoopFuture[None]:
        if self._waiting is None:
            self._waiting = LoopFuture()
        return self._waiting

    def _next_batch(self) -> LoopFuture[None] | None:
        """Give back the last batch's credit and take the next; None when there will be no more.

        The future is done when there is something to take.
        """
        self._give_back()
        if not self._items:
            return None if self.is_over else self._arrival()
        most_items, most_bytes = (credit // 2 for credit in self.credit)
        while self._items:
            item, size = self._items.popleft()
            self._batch.append(item)
            self._taken_items += 1
            self._taken_bytes += size
            if self._taken_items >= most_items or self._taken_bytes >= most_bytes:
                break
        return _there()

    def _give_back(self) -> None:
        items, size = self._taken_items, self._taken_bytes
        self._taken_items = self._taken_bytes = 0
        if items and not self.is_over:
            self._owed_items += items
            self._owed_bytes += size
            self.upstream.grant(items, size)

    # -- the producer, or the link

    def item(self, number: int, value: Any, size: int | None = None) -> int:
        """Take an item of a size in bytes, by default what it says of itself; return the size."""
        if size is None:
            size = len(value) if isinstance(value, bytes | bytearray | str) else _NOMINAL_BYTES
        if self.is_over or number < self._next:
            return size
        if self._owed_items <= 0 or self._owed_bytes <= 0:
            self._over(JobdError("the producer sent more than it was asked for"))
            self.upstream.cancel()
            return size
        self._owed_items -= 1
        self._owed_bytes -= size
        self._early[number] = (value, size)
        while (ready := self._early.pop(self._next, None)) is not None:
            self._items.append(ready)
            self._next += 1
        self._wake()
        self._finish()
        return size

    def end(self, sent: int, value: Any, error: BaseException | None) -> None:
        """Take the end, behind so many items; a few of them may still be on their way."""
        if self.is_over:
            return
        self.value = value
        self._last, self._error = sent, error
        self._finish()

    def _finish(self) -> None:
        if self._last is not None and self._next > self._last:
            self._over(self._error)

    def _over(self, error: BaseException | None) -> None:
        self.is_over = True
        self._error = error
        self._early.clear()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and (self._items or self.is_over):
            waiting, self._waiting = self._waiting, None
            waiting.set()


def _there() -> LoopFuture[None]:
    future: LoopFuture[None] = LoopFuture()
    future.set()
    return future
