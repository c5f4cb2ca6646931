"""LoopFuture: the answer of an ask, awaited on the loop or waited for in another thread.

Pykka's own future blocks the whole event loop when it is awaited (its trap 1).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TypeVar

import pykka

from actors.errors import AskTimeout

__all__ = ["LoopFuture"]

T = TypeVar("T")
_FIRST: Final = threading.Lock()


class LoopFuture(pykka.Future[T]):
    """A value or an error that the host's thread sets once; a second one is ignored."""

    __slots__ = ("_callbacks", "_error", "_value", "bucket", "done")

    def __init__(self) -> None:
        # Pykka's part is left out: it is for get hooks, which this future doesn't have.
        self.done = False
        self.bucket: dict[Any, None] | None = None  # of the deadlines, while it waits there
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], object]] | None = None

    def set(self, value: T | None = None) -> None:
        """Answer with a value."""
        self.settle(value, None)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self.settle(None, error)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error, as Pykka does: (type, value, traceback), or the current one."""
        error = (exc_info or sys.exc_info())[1]
        self.settle(None, error if error is not None else RuntimeError("no exception"))

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Take the answer, unless there is one, and wake who waits."""
        if self.done:
            return
        self._value = value
        self._error = error
        self.done = True  # after the answer, before the wake-up: see get()
        if self.bucket is not None:
            self.bucket.pop(self, None)
            self.bucket = None
        if self._callbacks is not None:
            callbacks, self._callbacks = self._callbacks, None
            for callback in tuple(callbacks):  # one may be removed meanwhile
                callback()

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call this when the answer is there, in the thread that sets it; at once if it is.

        When the answer comes from another thread in this very moment it may be called twice.
        """
        callbacks = self._callbacks
        if callbacks is None:
            with _FIRST:  # two threads may both be the first
                callbacks = self._callbacks
                if callbacks is None:
                    callbacks = self._callbacks = []
        callbacks.append(callback)
        if self.done:  # published first, then looked again: the answer can't come between unseen
            callback()

    def remove_done_callback(self, callback: Callable[[], object]) -> None:
        """Have a callback not called any more, if it hasn't been: who polls leaves none behind."""
        with contextlib.suppress(ValueError):
            (self._callbacks or []).remove(callback)

    def get(self, *, timeout: float | None = None) -> T:
        """Wait in another thread than a loop's. Raises the error, or AskTimeout."""
        if not self.done:
            if asyncio._get_running_loop() is not None:
                raise RuntimeError("get() would block the event loop: await the future")
            event = threading.Event()
            self.add_done_callback(event.set)
            try:
                if not event.wait(timeout):
                    raise AskTimeout(f"no answer within {timeout} s")
            finally:
                self.remove_done_callback(event.set)
        return self._result()

    def set_get_hook(self, func: Any) -> None:
        """Refuse: the answer comes from the host, nothing can be computed at get()."""
        raise NotImplementedError("a LoopFuture has no get hook")

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            wake = partial(_wake, loop, waiter)
            self.add_done_callback(wake)
            try:
                yield from waiter
            finally:
                self.remove_done_callback(wake)
        return self._result()

    __iter__ = __await__

    def _result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]


def _wake(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    if asyncio._get_running_loop() is loop:
        _finish(waiter)
    else:
        loop.call_soon_threadsafe(_finish, waiter)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():  # its task may have been cancelled
        waiter.set_result(None)
