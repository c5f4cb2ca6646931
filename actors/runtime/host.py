"""LoopHost: the host of production, on an asyncio event loop (uvloop where it is installed).

Actors, mailboxes and timers belong to the loop's thread. `tell`, `ask`, `stream`, `stop`,
`spawn` and `inspect` may be called from other threads: they are carried over in order.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from threading import get_ident
from typing import Any, Final, TypeVar

from actors import limits
from actors.runtime.actor import Clock
from actors.runtime.cell import ActorRow, AnyActor, Cell, Restart, TimerHandle
from actors.runtime.clock import SystemClock
from actors.runtime.effects import Effects
from actors.runtime.engine import Engine, OnFatal
from actors.runtime.future import LoopFuture
from actors.runtime.handling import Handling
from actors.runtime.ref import ActorRef
from actors.runtime.stream import Stream
from actors.runtime.thread_actor import ThreadActor
from actors.runtime.watchdog import Watchdog

__all__ = ["LoopHost"]

T = TypeVar("T")
_FOREIGN_PER_TURN: Final = 128


class LoopHost(Engine):
    """The actors of one process, on the running event loop. Make it in a coroutine.

    `on_fatal(reason, error)` is called when the root supervisor gives up; the process should end.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        on_fatal: OnFatal | None = None,
    ) -> None:
        super().__init__(clock or SystemClock(), rng or random.SystemRandom(), on_fatal)
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._run_queue: deque[Cell] = deque()
        self._run_is_due = False
        self.handling = Handling()
        self._current: Cell | None = None
        self._turns = 0
        self.watchdog = Watchdog(self._thread, self._turn_under_way)
        self._foreign: deque[Callable[[], object]] = deque()
        self._foreign_is_due = False

    # -- the door, from any thread

    def tell(self, address: str, message: Any, *, trace: str | None = None) -> None:
        """Send a message from outside; one that can't be delivered is a dead letter."""
        if get_ident() == self._thread:
            super().tell(address, message, trace=trace)
        else:
            self._carry_over(partial(super().tell, address, message, trace=trace))

    def ask(
        self,
        address: str,
        message: Any,
        *,
        timeout_s: float = limits.ASK_TIMEOUT_S,
        trace: str | None = None,
    ) -> LoopFuture[Any]:
        """Send a message from outside; await the future, or `get` it in another thread."""
        future: LoopFuture[Any] = LoopFuture()
        if get_ident() == self._thread:
            self.ask_into(future, address, message, timeout_s, trace)
        else:
            self._carry_over(partial(self.ask_into, future, address, message, timeout_s, trace))
        return future

    def spawn(
        self,
        factory: Callable[[], AnyActor],
        address: str,
        *,
        restart: Restart = "permanent",
        parent: str | None = None,
    ) -> ActorRef:
        """Start an actor at an address; see Engine.spawn."""
        start = partial(super().spawn, factory, address, restart=restart, parent=parent)
        return self.on_host(start)

    def stop(self, address: str, reason: str = "shutdown") -> LoopFuture[None]:
        """End an actor and its children for good; the future is done when they have ended."""
        return self.on_host(partial(super().stop, address, reason))

    def inspect(self) -> list[ActorRow]:
        """Return a row for each actor, in start order."""
        return self.on_host(super().inspect)

    def stream(
        self,
        address: str,
        message: Any,
        *,
        credit_items: int = limits.STREAM_ITEMS,
        credit_bytes: int = limits.STREAM_BYTES,
        trace: str | None = None,
    ) -> Stream[Any]:
        """Ask for an answer of many items; see Engine.stream."""
        ask = partial(super().stream, address, message, trace=trace)
        return self.on_host(partial(ask, credit_items=credit_items, credit_bytes=credit_bytes))

    async def shutdown(self) -> None:
        """End every actor, children before parents, in reverse start order."""
        ended: LoopFuture[None] = LoopFuture()
        self.supervision.terminate_all(ended.set)
        await ended
        self.watchdog.stop()

    # -- what the engine needs

    def call_later(
        self, delay_s: float, function: Callable[..., object], *args: Any
    ) -> TimerHandle:
        """Call a function on the loop after a delay."""
        return self._loop.call_later(max(0.0, delay_s), function, *args)

    def schedule(self, cell: Cell) -> None:
        """Queue a cell; all that are queued now run in the loop's next tick."""
        self._run_queue.append(cell)
        if not self._run_is_due:
            self._run_is_due = True
            self._loop.call_soon(self._run_queued)

    def _run_queued(self) -> None:
        self._run_is_due = False
        queue = self._run_queue
        turn = self.turn
        began = time.perf_counter()
        for _ in range(len(queue)):  # who is queued meanwhile waits for the next tick
            cell = self._current = queue.popleft()
            self._turns += 1
            before, actor = cell.handled, cell.actor
            turn(cell)
            ended = time.perf_counter()
            self.handling.add(actor, cell.handled - before, ended - began)
            cell.seconds += ended - began
            began = ended
        self._current = None

    def _turn_under_way(self) -> tuple[int, str] | None:
        """Return number and address of the turn under way; called by the watchdog's thread."""
        number, cell = self._turns, self._current
        return (number, cell.address) if cell is not None else None

    def offload(
        self,
        actor: ThreadActor,
        work: Callable[[], Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Have the actor's own thread do it."""

        def run() -> None:
            began = time.perf_counter()
            result, failure = None, None
            try:
                result = work()
            except (Exception, SystemExit) as error:
                failure = error
            took = time.perf_counter() - began
            try:
                self._carry_over(
                    partial(self._handled, actor, took, partial(done, result, failure))
                )
            except RuntimeError:
                if not self._loop.is_closed():  # else the process ends, and nobody is left to hear
                    raise

        actor.hand_over(run)

    def _handled(self, actor: ThreadActor, took: float, done: Callable[[], None]) -> None:
        self.handling.add(actor, 0, took)
        cell = self.cells.get(actor.address)
        if cell is not None:
            cell.seconds += took
        done()

    def await_effects(
        self,
        effects: Awaitable[Effects],
        done: Callable[[Effects, BaseException | None], None],
    ) -> TimerHandle:
        """Run a coroutine handler as a task."""
        task = asyncio.ensure_future(effects)

        def finish(task: asyncio.Future[Effects]) -> None:
            if task.cancelled():
                done(None, asyncio.CancelledError())
            elif (error := task.exception()) is not None:
                done(None, error)
            else:
                done(task.result(), None)

        task.add_done_callback(finish)
        return task

    # -- other threads

    def _carry_over(self, call: Callable[[], object]) -> None:
        """Have the loop's thread make a call. Calls of one thread keep their order."""
        self._foreign.append(call)
        if not self._foreign_is_due:
            self._foreign_is_due = True
            self._loop.call_soon_threadsafe(self._run_foreign)

    def _run_foreign(self) -> None:
        self._foreign_is_due = False  # before the queue is looked at, so that nothing is missed
        queue = self._foreign
        for _ in range(min(len(queue), _FOREIGN_PER_TURN)):
            queue.popleft()()
        if queue and not self._foreign_is_due:
            # What these have sent leaves meanwhile, so that its receiver works on it already.
            self._foreign_is_due = True
            self._loop.call_soon(self._run_foreign)

    def submit(self, call: Callable[[], T]) -> LoopFuture[T]:
        """Make a call on the loop's thread, from any thread; return the future of its result."""
        if get_ident() == self._thread:
            return super().submit(call)
        future: LoopFuture[T] = LoopFuture()

        def run() -> None:
            try:
                future.set(call())
            except Exception as error:
                future.fail(error)

        self._carry_over(run)
        return future
