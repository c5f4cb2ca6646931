"""Loop workers: the calls of a class with `async` methods, as tasks on the actor loop.

Thousands of such actors share the one thread, so their methods must never block it: what computes
or waits without `await` belongs into a class of plain methods. Invariants:
L1. At most `max_concurrency` calls are under way; with 1, the default, the next begins when the
    one before has ended, also while that awaits something (Orleans' turns).
L2. A task runs call after call until none waits: an idle actor has no task, a busy one pays no new
    task per call. After CALLS_PER_TURN it lets others run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any, cast

from actors.errors import Cancelled
from actors.limits import MESSAGES_PER_TURN
from actors.runtime.letter import Letter
from actors.runtime.outlet import Outlet
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.call_box import is_call
from actors.runtime.remote.workers import Employer, Fate, Post, admit, failure
from actors.runtime.trace import CURRENT

__all__ = ["LoopWorkers"]


class LoopWorkers:
    """Up to `max_concurrency` tasks, started as calls come."""

    def __init__(
        self,
        plan: Blueprint,
        calls: deque[Letter],
        employer: Employer,
        post: Post,
        now_ms: Callable[[], int],
    ) -> None:
        self.last_call = ""
        self._plan = plan
        self._calls = calls
        self._employer = employer
        self._post = post
        self._now_ms = now_ms
        self._instance: Any = None
        self._is_made = False
        self._is_ended = False
        self._running: dict[asyncio.Task[None], Letter | None] = {}
        self._cancelled: set[Letter] = set()

    def start(self) -> None:
        """Make the instance, then run what waits."""
        try:
            self._instance = self._plan.build()
        except BaseException as error:
            self._post(partial(self._employer.not_made, error))
            return
        self._is_made = True
        self.wake()

    def wake(self) -> None:
        """Start a task for a call that has come, unless all are at work."""
        if not self._is_made or self._is_ended or not self._calls:
            return
        if len(self._running) < self._plan.options.max_concurrency:
            task = asyncio.get_running_loop().create_task(self._serve())
            self._running[task] = None

    def cancel(self, call: int, sender: str | None) -> Fate:
        """Cancel the coroutine of a call."""
        for task, letter in self._running.items():
            if letter is not None and is_call(letter, call, sender):
                self._cancelled.add(letter)
                task.cancel()
                return "cancelling"
        return "unknown"

    def end(self) -> list[Letter]:
        """Begin no further call, cancel and return those under way."""
        self._is_ended = True
        under_way = [letter for letter in self._running.values() if letter is not None]
        for task in list(self._running):
            if task is not asyncio.current_task():
                task.cancel()
        self._running.clear()
        return under_way

    async def _serve(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        calls, running = self._calls, self._running
        left = MESSAGES_PER_TURN
        try:
            while calls and not self._is_ended:
                letter = running[task] = calls.popleft()
                await self._run(letter)
                if self._is_ended:
                    return
                running[task] = None
                left -= 1
                if not left:
                    left = MESSAGES_PER_TURN
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not self._is_ended:
                raise
        except BaseException as error:
            # Told first, so that the call under way is still known to be under way.
            self._employer.crashed(error)
        finally:
            running.pop(task, None)
            if not self._is_ended:
                self.wake()

    async def _run(self, letter: Letter) -> None:
        """Run one call. Raises what is no Exception."""
        method = admit(self._plan, letter, self._now_ms)
        if method is None:
            return
        self.last_call = method.name
        if letter.trace is not CURRENT.get():
            CURRENT.set(letter.trace)
        call, reply = letter.message, letter.reply_to
        try:
            value = self._plan.functions[method.name](self._instance, *call.args, **call.kwargs)
            if method.streams:
                value = await self._stream(value, cast(Outlet, reply))
            elif asyncio.iscoroutine(value):
                value = await value
        except Exception as error:
            letter.fail(failure(self._plan, letter, error))
        except asyncio.CancelledError as error:
            if self._is_ended:
                raise
            if letter in self._cancelled:
                letter.fail(Cancelled(f"{self._plan.title}.{method.name} was cancelled"))
            else:  # of something that the method awaited
                letter.fail(failure(self._plan, letter, error))
        else:
            if reply is not None:
                reply.set(value)
        if letter in self._cancelled:  # also when the method took no notice
            self._cancelled.discard(letter)
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()

    async def _stream(self, items: Any, outlet: Outlet) -> Any:
        """Send what a generator yields; return what it returns."""
        if isinstance(items, Generator):
            return await self._stream_plain(items, outlet)
        generator = cast("AsyncGenerator[Any, None]", items)
        try:
            async for item in generator:
                if not outlet.has_room and not await outlet.room():
                    break
                outlet.item(item)
        finally:
            await generator.aclose()
        return None

    async def _stream_plain(self, items: Generator[Any, None, Any], outlet: Outlet) -> Any:
        try:
            while outlet.has_room or await outlet.room():
                try:
                    outlet.item(next(items))
                except StopIteration as end:
                    return end.value
        finally:
            items.close()
        return None
