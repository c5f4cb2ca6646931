"""An asyncio loop on virtual time, so that the node's own doors run in a simulation.

It ends with its node process: after `kill` nothing of it runs any more.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, cast

from actors.runtime import SimHost

__all__ = ["SimLoop"]


class SimLoop:
    """What tasks, futures and `asyncio.sleep` need of a loop."""

    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._alive = True
        self._coroutines: set[Coroutine[Any, Any, Any]] = set()

    def kill(self) -> None:
        """End with its process; what had not begun never does."""
        self._alive = False
        for coroutine in self._coroutines:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()

    def start(self, coroutine: Coroutine[Any, Any, Any], done: Callable[[Any], None]) -> None:
        """Run a coroutine; `done` gets its result, or the exception that ended it."""

        def ended(task: asyncio.Task[Any]) -> None:
            self._coroutines.discard(coroutine)
            error = task.exception()
            done(error if error is not None else task.result())

        self._coroutines.add(coroutine)
        asyncio.Task(coroutine, loop=cast(Any, self)).add_done_callback(ended)

    # -- the loop

    def time(self) -> float:
        return self._host.clock.monotonic_s()

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        where = context if context is not None else contextvars.copy_context()
        return self._host.call_later(delay, self._run, callback, args, where)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_later(0, callback, *args, context=context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_later(0, callback, *args, context=context)

    def _run(self, callback: Any, args: tuple[Any, ...], context: contextvars.Context) -> None:
        if not self._alive:
            return
        asyncio._set_running_loop(cast(Any, self))
        try:
            context.run(callback, *args)
        finally:
            asyncio._set_running_loop(None)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast(Any, self))

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task that ended with its process is no news; one that failed unseen is."""
        assert "exception" not in context, context
