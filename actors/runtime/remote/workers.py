"""Workers: who runs the calls of one incarnation of a user's actor. Two kinds have this face.

`ThreadWorkers` for classes of plain methods, which may block: threads of the actor's own.
`LoopWorkers` for classes with `async` methods: tasks on the actor loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from actors.errors import AskTimeout, InvalidInput, JobdError
from actors.runtime.letter import Letter
from actors.runtime.outlet import Outlet
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.method import Method
from actors.runtime.remote.task_error import task_error

__all__ = ["Employer", "Fate", "Post", "Workers", "admit", "failure"]

Fate = Literal["dropped", "cancelling", "running", "unknown"]
Post = Callable[[Callable[[], object]], None]  # have the loop's thread make a call


class Employer(Protocol):
    """Whom workers tell, on the loop's thread, how their incarnation ended."""

    def not_made(self, error: BaseException) -> None:
        """The constructor raised."""

    def crashed(self, error: BaseException) -> None:
        """A method raised what is no Exception (SystemExit, or a class of the user's own)."""


class Workers(Protocol):
    """All of it is called on the loop's thread."""

    last_call: str  # the method that began last

    def start(self) -> None:
        """Make the instance, then run what waits."""

    def wake(self) -> None:
        """Note that a call has come."""

    def cancel(self, call: int, sender: str | None) -> Fate:
        """Cancel a sender's call that is under way, where that can be done."""

    def end(self) -> list[Letter]:
        """Begin no further call; return those under way, whose answers no longer count."""


def admit(plan: Blueprint, letter: Letter, now_ms: Callable[[], int]) -> Method | None:
    """Return the method to run, or None when it needn't run: it was refused, or nobody waits."""
    reply: Any = letter.reply_to
    if reply is not None and reply.done:
        return None
    try:
        if letter.deadline_ms and letter.deadline_ms < now_ms():
            raise AskTimeout("its deadline passed before it ran")
        method = plan.method_for(letter)
        if method.streams and not isinstance(reply, Outlet):
            raise InvalidInput(f"{method.name} yields items: read them as a stream")
        return method
    except JobdError as error:
        letter.fail(error)
        return None


def failure(plan: Blueprint, letter: Letter, error: BaseException) -> JobdError:
    """Return what the caller gets for an exception of a method."""
    return task_error(error, f"{plan.cls.__name__}.{letter.message.method}")
