"""Ref: the answer of a call that may not be there yet. Any thread, any event loop can wait for it.

    ref = counter.add.remote(5)
    ref.get(timeout=2)          # in a plain thread, a REPL, a notebook
    await ref                   # in a coroutine

A ref can be passed as an argument of another call, which is then sent when it has its value.
"""

from __future__ import annotations

import contextlib
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Sequence
from functools import partial
from threading import get_ident
from typing import Any, TypeVar

from actors.errors import ActorDied, AskTimeout, DeadLetter, TaskError
from actors.runtime.future import LoopFuture
from actors.runtime.remote.task_error import as_raised_here

__all__ = ["Latch", "Ref", "refuse_on_the_loop"]

T = TypeVar("T")


class Ref(LoopFuture[T]):
    """The answer of one call: a value, or the error that came instead."""

    __slots__ = ("address", "call")

    # Of this process's actor loop: whoever blocks it waits for an answer that it has to bring.
    loop_thread = 0

    def __init__(self, address: str, call: int) -> None:
        # All of LoopFuture's own, without the call: there is a ref for each call.
        self.done = False
        self.bucket = None
        self._value = None
        self._error = None
        self._callbacks = None
        self.address = address
        self.call = call

    def __repr__(self) -> str:
        state = "pending" if not self.done else "failed" if self._error else "done"
        return f"<Ref {self.call} of {self.address}: {state}>"

    def get(self, *, timeout: float | None = None) -> T:
        """Wait and return the value.

        Raises AskTimeout when it isn't there in time (seconds; the call goes on), TaskError when
        the method raised, ActorDied, ActorUnavailable, MailboxFull or Cancelled.
        """
        if not self.done:
            Latch([self], 1).wait(timeout)
        return self._result()

    def failure(self) -> BaseException | None:
        """Return the error that it ended with, None when it has a value or isn't done."""
        return self._error

    def value(self) -> T | None:
        """Return the value that it ended with, None when it failed or isn't done."""
        return self._value  # type: ignore[no-any-return]

    def _result(self) -> T:
        error = self._error
        if error is not None:
            if error.__class__ is TaskError:
                error = self._error = as_raised_here(error)
            elif error.__class__ is DeadLetter:  # addresses are never used again
                error = self._error = ActorDied(f"{self.address} is no more: {error}")
            raise error.with_traceback(None)
        return self._value  # type: ignore[no-any-return]


class Latch:
    """Lets one thread wait until some refs are done; with `eagerly`, or until one has failed."""

    def __init__(self, refs: Sequence[Ref[Any]], needed: int, *, eagerly: bool = False) -> None:
        refuse_on_the_loop("waiting for a ref")
        self._refs = refs
        self._needed = needed
        self._eagerly = eagerly
        self._lock = allocate_lock()
        self._lock.acquire()
        self._came: deque[Ref[Any]] = deque()  # its append is atomic, unlike a count
        self._awaited = len(refs) + 1

    def wait(self, timeout_s: float | None) -> None:
        """Wait. Raises AskTimeout."""
        end_s = time.monotonic() + timeout_s if timeout_s is not None else None
        pending = [ref for ref in self._refs if not ref.done]
        for ref in pending:
            ref.add_done_callback(partial(self._note, ref))
        self._awaited = self._needed - (len(self._refs) - len(pending))
        # What came before the line above is seen here, the rest wakes. A callback may come twice,
        # so a wake-up only says when to look.
        while not self._is_open():
            left_s = -1.0 if end_s is None else max(0.0, end_s - time.monotonic())
            if not self._lock.acquire(timeout=left_s):
                raise AskTimeout(f"no answer within {timeout_s} s")

    def _is_open(self) -> bool:
        if self._eagerly and any(ref.failure() is not None for ref in self._refs):
            return True
        return sum(ref.done for ref in self._refs) >= self._needed

    def _note(self, ref: Ref[Any]) -> None:
        self._came.append(ref)
        if len(self._came) >= self._awaited or (self._eagerly and ref.failure() is not None):
            with contextlib.suppress(RuntimeError):  # it is open already
                self._lock.release()


def refuse_on_the_loop(what: str) -> None:
    """Raise RuntimeError in the actor loop's own thread, which must never block."""
    if get_ident() == Ref.loop_thread:
        raise RuntimeError(f"{what} would block the actor loop: await it in an async method")
