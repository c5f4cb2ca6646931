"""Results: what a method yields, read at the reader's own pace.

    for line in log.tail.remote(): ...            # in a plain thread, a REPL, a notebook
    async for line in log.tail.remote(): ...      # in a coroutine, on any loop

The generator is never further ahead than STREAM_ITEMS and STREAM_BYTES. It ends with its reader:
use `contextlib.closing` (or `aclosing`) unless you read to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

from actors import limits
from actors.errors import TaskError
from actors.runtime.engine import Engine
from actors.runtime.remote.ref import Ref
from actors.runtime.remote.task_error import as_raised_here
from actors.runtime.stream import Stream

__all__ = ["Results"]

T = TypeVar("T")


class Results(Stream[T]):
    """The items of one call. `value` is what the generator returned, once it has ended."""

    def __init__(
        self, engine: Engine, address: str, on_loop: Callable[[Callable[[], object]], None]
    ) -> None:
        super().__init__(engine, limits.STREAM_ITEMS, limits.STREAM_BYTES)
        self._address = address
        self._on_loop = on_loop

    def __next__(self) -> T:
        while not self._batch:
            if not self._more().get():
                self._raise_end(StopIteration)
        return self._batch.popleft()

    async def __anext__(self) -> T:
        while not self._batch:
            if not await self._more():
                self._raise_end(StopAsyncIteration)
        return self._batch.popleft()

    def close(self) -> None:
        """Read no more: the generator is closed where it yields."""
        self._on_loop(self._close)

    async def aclose(self) -> None:
        """Read no more: the generator is closed where it yields."""
        self.close()

    def __repr__(self) -> str:
        return f"<Results of {self._address}>"

    def _more(self) -> Ref[bool]:
        """Return whether there are more items; they are in the batch then."""
        ref: Ref[bool] = Ref(self._address, 0)
        self._on_loop(partial(self._fetch, ref))
        return ref

    def _fetch(self, ref: Ref[bool]) -> None:
        arrival = self._next_batch()
        if arrival is None:
            ref.set(False)
        elif arrival.done:
            ref.set(True)
        else:
            arrival.add_done_callback(partial(self._fetch, ref))

    def _raise_end(self, end: type[Exception]) -> NoReturn:
        error = self._error
        if error is None:
            raise end
        if error.__class__ is TaskError:
            error = as_raised_here(error)
        raise error.with_traceback(None)
