"""Envelopes: what goes over the wire between two processes.

A frame is a msgpack array of envelopes. An envelope is a msgpack array whose fields are only ever
added at its end, so an older process reads what it knows:

    [version, kind, flags, corr, dst, src, deadline_ms, trace, type, body, incarnation]

`corr` pairs an answer with its question (0: none). `deadline_ms` is the time that is left when it
is sent, so that the clocks of two processes need not agree. `type` names the message; the body is
that type's own msgpack. Only the types of a `Vocabulary` can be sent or received, nothing is ever
unpickled, and a frame that is not what it should be is a `BadFrame`, never a crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

import msgspec

from actors import errors, limits
from actors.errors import ActorUnavailable, InvalidInput, JobdError, TooLarge
from actors.runtime.signals import Inspect, Ping, Terminated

__all__ = [
    "VERSION",
    "BadFrame",
    "Envelope",
    "ErrorBody",
    "Hello",
    "Kind",
    "Vocabulary",
    "decode_error",
    "decode_frame",
    "encode_error",
    "frame_of",
]

VERSION: Final = 1


class Kind(IntEnum):
    """What an envelope is for; 4 to 6 are kept for cancel, stream items and credit."""

    TELL = 0
    ASK = 1
    REPLY = 2
    ERROR = 3
    WATCH = 7
    HELLO = 8
    PING = 9


class BadFrame(InvalidInput):
    """Bytes from a peer that are no envelopes."""

    code = "bad_frame"


class Envelope(msgspec.Struct, array_like=True, frozen=True):
    """One message on the wire; see the module."""

    version: int
    kind: int
    flags: int = 0
    corr: int = 0
    dst: str = ""
    src: str = ""
    deadline_ms: int = 0
    trace: str | None = None
    type: str = ""
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    incarnation: int = 0


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """Who speaks, and which versions it understands. The first envelope of each side."""

    node: str
    incarnation: int
    min_version: int = VERSION
    max_version: int = VERSION


class ErrorBody(msgspec.Struct, array_like=True, frozen=True):
    """An error as names and texts: `code` is that of `actors.errors`."""

    code: str
    message: str
    retryable: bool = False
    maybe_executed: bool = False


_FRAME: Final = msgspec.msgpack.Decoder(list[Envelope])
_ENCODER: Final = msgspec.msgpack.Encoder()
_ANY: Final = msgspec.msgpack.Decoder()
_ERROR: Final = msgspec.msgpack.Decoder(ErrorBody)
_ARRAY_32: Final = b"\xdd"
_ERRORS: Final[dict[str, type[JobdError]]] = {
    cls.code: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, JobdError) and cls.__init__ is JobdError.__init__
}


class Vocabulary:
    """The message types that two processes speak, by name; the runtime's own are among them."""

    def __init__(self, types: Iterable[type[msgspec.Struct]]) -> None:
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}
        own: tuple[type[msgspec.Struct], ...] = (Inspect, Ping, Terminated)
        for each in (*types, *own):
            if each.__name__ in self._decoders:
                raise ValueError(f"two message types are named {each.__name__}")
            self._decoders[each.__name__] = msgspec.msgpack.Decoder(each)

    def encode(self, value: Any) -> tuple[str, msgspec.Raw]:
        """Return the type's name and the body; "" for a plain value. Raises TypeError, TooLarge."""
        name = type(value).__name__ if isinstance(value, msgspec.Struct) else ""
        if name and name not in self._decoders:
            raise TypeError(f"{name} is not a message between processes")
        body = _ENCODER.encode(value)
        if len(body) > limits.ENVELOPE_BYTES // 2:
            raise TooLarge(f"a message of {len(body)} bytes, over {limits.ENVELOPE_BYTES // 2}")
        return name, msgspec.Raw(body)

    def decode(self, name: str, body: msgspec.Raw) -> Any:
        """Return the message. Raises BadFrame for an unknown type or a body that is none."""
        decoder = self._decoders.get(name) if name else _ANY
        if decoder is None:
            raise BadFrame(f"no message type {name[:64]!r}")
        try:
            message = decoder.decode(body)
            if not name:
                _check_depth(message)
            return message
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadFrame(f"not a {name[:64] or 'value'}: {error}") from None


def _check_depth(value: Any) -> None:
    """Refuse a plain value that is too deep; a message's type bounds its own. Raises ValueError."""
    level = [value]
    for _ in range(limits.ENVELOPE_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, list | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise ValueError(f"deeper than {limits.ENVELOPE_DEPTH}")


def frame_of(parts: list[bytes]) -> bytes:
    """Return the frame of encoded envelopes."""
    return b"".join((_ARRAY_32, len(parts).to_bytes(4, "big"), *parts))


def decode_frame(frame: bytes) -> list[Envelope]:
    """Return the envelopes of a frame. Raises BadFrame."""
    if len(frame) > limits.ENVELOPE_BYTES:
        raise BadFrame(f"a frame of {len(frame)} bytes, over {limits.ENVELOPE_BYTES}")
    try:
        return _FRAME.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(str(error)) from None


def encode_error(error: BaseException) -> msgspec.Raw:
    """Return the body of an ERROR envelope."""
    code = error.code if isinstance(error, JobdError) else "internal"
    body = ErrorBody(
        code,
        str(error)[: limits.VALUE_BYTES],
        isinstance(error, JobdError) and error.retryable,
        isinstance(error, ActorUnavailable) and error.maybe_executed,
    )
    return msgspec.Raw(_ENCODER.encode(body))


def decode_error(body: msgspec.Raw) -> JobdError:
    """Return the error that a peer reported, of the same class where it is known here."""
    try:
        told = _ERROR.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return BadFrame(f"not an error: {error}")
    if told.code == ActorUnavailable.code:
        return ActorUnavailable(told.message, maybe_executed=told.maybe_executed)
    return _ERRORS.get(told.code, JobdError)(told.message)
