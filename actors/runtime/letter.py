"""A letter: a message on its way, with what the runtime needs to know of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pykka._envelope import Envelope

from actors.runtime.effects import ReplyTo
from actors.runtime.invoke import Invoke
from actors.runtime.principal import Principal
from actors.runtime.vocabulary import Vocabulary

__all__ = ["Letter", "RemoteLetter", "as_from_the_wire"]


_CALLS: Final = Vocabulary([])


class Letter(Envelope[Any]):
    """Pykka's envelope, and who sent it, until when, as part of what. It is a handler's `Context`.

    `deadline_ms`: on the host's monotonic clock, 0 for none. `crashes`: how often it crashed its
    actor.
    """

    __slots__ = ("crashes", "deadline_ms", "sender", "trace")

    def __init__(
        self,
        message: Any,
        reply: ReplyTo | None = None,
        sender: str | None = None,
        deadline_ms: int = 0,
        trace: str | None = None,
    ) -> None:
        self.message = message
        self.reply_to = reply  # type: ignore[assignment]  # any ReplyTo will do here
        self.sender = sender
        self.deadline_ms = deadline_ms
        self.trace = trace
        self.crashes = 0

    # Of a letter from another process a subclass has them: a slot costs each letter here some time.
    principal: Principal | None = None

    @property
    def reply(self) -> ReplyTo | None:
        """Where an answer goes; None for a tell."""
        return self.reply_to  # type: ignore[return-value]  # see __init__

    def fail(self, error: BaseException) -> None:
        """Tell the asker, if there is one."""
        if self.reply_to is not None:
            self.reply_to.fail(error)  # type: ignore[attr-defined]


class RemoteLetter(Letter):
    """A letter from another process, with what that process may do."""

    __slots__ = ("principal",)
    principal: Principal | None


def as_from_the_wire(message: Any) -> Any:
    """Return the message as another process would get it.

    Raises TypeError, InvalidInput, ValidationError.
    """
    if message.__class__ is Invoke:
        return _CALLS.decode(*_CALLS.encode(message))
    if not isinstance(message, msgspec.Struct):
        raise TypeError(f"{type(message).__name__} is not a message: it is no msgspec.Struct")
    return msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=type(message))
