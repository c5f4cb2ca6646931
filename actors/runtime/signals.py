"""Signals: the messages that the runtime itself sends to actors, or answers for them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import msgspec

__all__ = [
    "Answered",
    "Failed",
    "Inspect",
    "Ping",
    "StreamClosed",
    "StreamCredit",
    "Terminated",
]


class Answered(msgspec.Struct, frozen=True):
    """The answer of an `Ask` with this tag."""

    tag: Hashable
    value: Any


class Failed(msgspec.Struct, frozen=True):
    """The `Ask` with this tag has no answer: the error that came instead of one."""

    tag: Hashable
    error: BaseException


class Terminated(msgspec.Struct, frozen=True):
    """A watched address has ended for good; "unknown" when there was no such actor."""

    address: str
    reason: str


class StreamCredit(msgspec.Struct, frozen=True):
    """The stream `to` (a kept `context.reply`) has room again. It may have ended meanwhile."""

    to: Any


class StreamClosed(msgspec.Struct, frozen=True):
    """Nobody reads the stream `to` any more: its reader closed it, or is gone."""

    to: Any


class Ping(msgspec.Struct, frozen=True):
    """Answered with the incarnation, from the actor's own turn: a wedged actor doesn't answer."""

    system_lane: ClassVar[bool] = True


class Inspect(msgspec.Struct, frozen=True):
    """Answered with the actor's row of `Host.inspect`, from its own turn."""

    system_lane: ClassVar[bool] = True
