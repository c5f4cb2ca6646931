"""Messages between the handles of a user's actor and the actor, besides `Invoke`."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from actors.runtime.remote.method import Method

__all__ = ["Begin", "CancelCall", "Describe", "Description", "Kill"]


class Begin(msgspec.Struct, frozen=True):
    """Make the first incarnation; only this process sends it."""


class CancelCall(msgspec.Struct, frozen=True):
    """Cancel the sender's call with this number. Answered with what became of it.

    "dropped": it had not begun; "cancelling": its coroutine is being cancelled; "running": its
    method can't be stopped; "unknown": it has ended, or there was none.
    """

    system_lane: ClassVar[bool] = True

    call: int


class Kill(msgspec.Struct, frozen=True):
    """End the actor, or only its incarnation; answered when that is done."""

    system_lane: ClassVar[bool] = True

    no_restart: bool = True


class Describe(msgspec.Struct, frozen=True):
    """Ask an actor for its `Description`."""

    system_lane: ClassVar[bool] = True


class Description(msgspec.Struct, frozen=True):
    """What can be called: the name of the class and its methods."""

    class_name: str
    methods: list[Method]
