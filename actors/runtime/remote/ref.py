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
from threading import get_ident
from typing import Any, Final, TypeVar

from actors.errors import ActorDied, AskTimeout, DeadLetter, TaskError
from actors.runtime.future import LoopFuture
from actors.runtime.remote.task_error import as_raised_here

__all__ = ["Ref", "refuse_on_the_loop", "wait_for_all", "wait_for_some"]

T = TypeVar("T")
_INTERESTED: Final[set[_Gate]] = set()  # who wants to know at once when a ref fails


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

    def fail(self, error: BaseException) -> None:
        """Take an error for an answer."""
        super().fail(error)
        for gate in tuple(_INTERESTED):
            gate.open()

    def get(self, *, timeout: float | None = None) -> T:
        """Wait and return the value.

        Raises AskTimeout when it isn't there in time (seconds; the call goes on), TaskError when
        the method raised, ActorDied, ActorUnavailable, MailboxFull or Cancelled.
        """
        if not self.done:
            gate = _Gate(timeout)
            self.add_done_callback(gate.open)
            try:
                while not self.done:
                    gate.wait()
            finally:
                self.remove_done_callback(gate.open)
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


class _Gate:
    """One waiting thread. Opened once too often it only looks once too often."""

    def __init__(self, timeout_s: float | None) -> None:
        refuse_on_the_loop("waiting for a ref")
        self._timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s if timeout_s is not None else 0.0
        self._lock = allocate_lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let the thread look again."""
        with contextlib.suppress(RuntimeError):  # it is open already
            self._lock.release()

    def wait(self) -> None:
        """Wait until it is opened. Raises AskTimeout."""
        left_s = -1.0
        if self._timeout_s is not None:
            left_s = max(0.0, self._end_s - time.monotonic())
        if not self._lock.acquire(timeout=left_s):
            raise AskTimeout(f"no answer within {self._timeout_s} s")


def wait_for_all(refs: Sequence[Ref[Any]], timeout_s: float | None) -> None:
    """Wait until all are done, or one has failed. Raises AskTimeout.

    Answers mostly come in the order of the calls, so one waits for the last: a call costs nothing.
    """
    gate = _Gate(timeout_s)
    awaited: Ref[Any] | None = None
    _INTERESTED.add(gate)
    try:
        while (last := next((ref for ref in reversed(refs) if not ref.done), None)) is not None:
            if any(ref.failure() is not None for ref in refs):
                return
            if last is not awaited:
                awaited = last
                last.add_done_callback(gate.open)
            gate.wait()
    finally:
        _INTERESTED.discard(gate)
        if awaited is not None:
            awaited.remove_done_callback(gate.open)


def wait_for_some(refs: Sequence[Ref[Any]], needed: int, timeout_s: float | None) -> None:
    """Wait until so many are done. Raises AskTimeout."""
    gate = _Gate(timeout_s)
    pending = [ref for ref in refs if not ref.done]
    missing = needed - (len(refs) - len(pending))
    came: deque[None] = deque()  # its append is atomic, unlike a count

    def note() -> None:
        came.append(None)
        if len(came) >= missing:
            gate.open()

    for ref in pending:
        ref.add_done_callback(note)
    try:
        while sum(ref.done for ref in refs) < needed:
            gate.wait()
    finally:
        for ref in pending:
            ref.remove_done_callback(note)


def refuse_on_the_loop(what: str) -> None:
    """Raise RuntimeError in the actor loop's own thread, which must never block."""
    if get_ident() == Ref.loop_thread:
        raise RuntimeError(f"{what} would block the actor loop: await it in an async method")
