"""Effects: what a handler wants done, as values.

A handler decides and returns effects; the host carries them out, in order, after the handler has
returned. A handler that raises has had no effect at all. Nothing here waits: the answer of an
`Ask` comes back as a message of its own (`Answered` or `Failed`, in `signals`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Protocol

import msgspec

from actors import limits

__all__ = [
    "After",
    "Ask",
    "CancelTimer",
    "Effect",
    "Effects",
    "Fail",
    "Item",
    "Reply",
    "ReplyTo",
    "Stop",
    "Tell",
    "Watch",
    "collect",
]


class ReplyTo(Protocol):
    """Where the answer of an ask goes. It may be kept, and used once, in any later turn."""

    def set(self, value: Any = None) -> None:
        """Answer with a value. A second answer, or one after the deadline, is ignored."""

    def fail(self, error: BaseException) -> None:
        """Answer with an error, likewise once."""


class Tell(msgspec.Struct, frozen=True):
    """Send a message, with no answer asked for."""

    to: str
    message: Any


class Ask(msgspec.Struct, frozen=True):
    """Send a message; `Answered(tag, value)` or `Failed(tag, error)` comes back as a message.

    Without a timeout it waits until it is answered or the actor asked has ended.
    """

    to: str
    message: Any
    tag: Hashable
    timeout_s: float | None = limits.ASK_TIMEOUT_S


class Reply(msgspec.Struct, frozen=True):
    """Answer an ask, now or in a later turn (`context.reply` may be kept); no answer to a tell."""

    to: ReplyTo | None
    value: Any = None


class Fail(msgspec.Struct, frozen=True):
    """Answer an ask with an expected error. (An exception that is raised crashes the actor.)"""

    to: ReplyTo | None
    error: BaseException


class Item(msgspec.Struct, frozen=True):
    """Send the next item of a stream; `Reply` ends it, `Fail` ends it with an error.

    `to` is the kept `context.reply` of a question that was asked with `stream`; `to.items` says how
    many may be sent now. One more fails the stream with Busy. The actor is told `StreamCredit(to)`
    when there is room again, `StreamClosed(to)` when nobody reads.
    """

    to: ReplyTo | None
    value: Any


class After(msgspec.Struct, frozen=True):
    """Send a message to oneself after a delay. With a key it replaces that key's earlier timer.

    Timers, asks and watches belong to the incarnation that made them and end with it.
    """

    delay_s: float
    message: Any
    key: Hashable = None


class CancelTimer(msgspec.Struct, frozen=True):
    """Forget a timer, if it is still armed."""

    key: Hashable


class Watch(msgspec.Struct, frozen=True):
    """Have `Terminated(address, reason)` come when that address ends for good, not at a restart."""

    address: str


class Stop(msgspec.Struct, frozen=True):
    """End this actor; a permanent one is restarted by its supervisor, whatever the reason."""

    reason: str = "normal"


Effect = Tell | Ask | Reply | Fail | Item | After | CancelTimer | Watch | Stop
Effects = Iterable[Effect] | None


def collect(effects: Effects) -> list[Effect]:
    """Run a handler's generator to its end: a handler that raises has had no effect."""
    return [] if effects is None else list(effects)
