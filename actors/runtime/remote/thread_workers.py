"""Thread workers: the calls of a class of plain methods, in threads of the actor's own.

Its methods may block or compute: they hold up nothing but their own actor. Invariants:
T1. One thread makes the instance before any call runs; with max_concurrency 1 it runs all of them.
T2. A wake-up is for all calls that wait, and so is the loop's for their answers: a thread sleeps
    only when no call waits. Under load neither side is woken per call.
T3. After `end` no call begins; a method under way can't be stopped, but its answer doesn't count.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from actors.runtime.letter import Letter
from actors.runtime.outlet import Outlet
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.call_box import is_call
from actors.runtime.remote.feed import Feed
from actors.runtime.remote.workers import Employer, Fate, Post, admit, failure
from actors.runtime.trace import CURRENT

__all__ = ["ThreadWorkers"]


class ThreadWorkers:
    """Up to `max_concurrency` threads, started as calls wait."""

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
        self._threads = 0
        self._sleeping = 0  # threads that nobody has woken yet
        self._lock = threading.Lock()
        self._wake_up = threading.Condition(self._lock)
        self._running: dict[int, Letter] = {}  # by thread

    # -- the loop's thread

    def start(self) -> None:
        """Start the first thread, which makes the instance."""
        self._start_thread(self._make)

    def wake(self) -> None:
        """Wake a thread, or start one, unless all are at work."""
        if self._sleeping:
            with self._lock:
                if self._sleeping:
                    self._sleeping -= 1
                    self._wake_up.notify()
        elif self._is_made and self._threads < self._plan.options.max_concurrency:
            self._start_thread(self._serve)

    def cancel(self, call: int, sender: str | None) -> Fate:
        """Say that a method under way can't be stopped."""
        under_way = any(is_call(letter, call, sender) for letter in self._under_way())
        return "running" if under_way else "unknown"

    def end(self) -> list[Letter]:
        """Begin no further call; return those under way."""
        with self._lock:
            self._is_ended = True
            self._wake_up.notify_all()
            return self._under_way()

    def _under_way(self) -> list[Letter]:
        return list(self._running.values())

    def _start_thread(self, target: Callable[[int], None]) -> None:
        number = self._threads
        self._threads += 1
        name = f"actor {self._plan.title}"
        threading.Thread(target=target, args=(number,), name=name, daemon=True).start()

    # -- the loop's thread, for one of the actor's

    def _tell(self, whom: Callable[[Any], object], what: Any) -> None:
        """Pass on an answer or an end, unless the incarnation has ended: then it doesn't count."""
        if not self._is_ended:
            whom(what)

    # -- the actor's threads

    def _make(self, number: int) -> None:
        try:
            self._instance = self._plan.build()
        except BaseException as error:
            self._post(partial(self._tell, self._employer.not_made, error))
            return
        self._is_made = True
        self._serve(number)

    def _serve(self, number: int) -> None:
        while (letter := self._next(number)) is not None:
            try:
                self._run(letter)
            except BaseException as error:
                self._post(partial(self._tell, self._employer.crashed, error))
                return
            del letter  # while the thread sleeps, its arguments needn't live

    def _next(self, number: int) -> Letter | None:
        with self._lock:
            self._running.pop(number, None)
            while not self._is_ended:
                # Counted first, then looked: what comes in between wakes.
                self._sleeping += 1
                if self._calls:
                    self._sleeping -= 1
                    letter = self._running[number] = self._calls.popleft()
                    return letter
                self._wake_up.wait()
            return None

    def _run(self, letter: Letter) -> None:
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
                value = Feed(cast(Outlet, reply), self._post).run(value)
        except Exception as error:
            self._post(partial(self._tell, letter.fail, failure(self._plan, letter, error)))
        else:
            if reply is not None:
                self._post(partial(self._tell, reply.set, value))
