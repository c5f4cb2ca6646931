"""Envelopes: what goes over the wire between two processes.

A frame is a msgpack array of envelopes. An envelope is a msgpack array whose fields are only ever
added at its end, so an older process reads what it knows:

    [version, kind, flags, corr, dst, src, deadline_ms, trace, type, body, incarnation, items, size]

`corr` pairs what belongs to a question with it (0: nothing). `deadline_ms` is the time that is left
when it is sent, so that the clocks of two processes need not agree. `type` names the message; the
body is that type's own msgpack. `items` and `size` belong to streams: the credit that a question or
a CREDIT gives, in items and bytes; the number of an ITEM; how many items came before the REPLY or
ERROR that ends a stream. Nothing is ever unpickled, and a frame that is not what it should be is a
`BadFrame`, never a crash.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import msgspec

from actors import errors, limits
from actors.errors import ActorUnavailable, InvalidInput, JobdError

__all__ = [
    "REPEAT",
    "VERSION",
    "BadFrame",
    "Envelope",
    "ErrorBody",
    "Kind",
    "decode_error",
    "decode_frame",
    "encode_error",
    "error_code",
    "frame_of",
]

VERSION: Final = 1
REPEAT: Final = 1  # flag of a PING between nodes: a connection broke, repeat what you wait for


class Kind(IntEnum):
    """What an envelope is for."""

    TELL = 0
    ASK = 1
    REPLY = 2
    ERROR = 3  # without a question: what ends the link, or keeps it from beginning
    CANCEL = 4  # nobody reads the stream any more
    ITEM = 5
    CREDIT = 6
    WATCH = 7
    HELLO = 8  # relayed: that process has its link again
    PING = 9
    GONE = 10  # the process `dst` is lost, or unknown; without one: the sender's own good-bye


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
    items: int = 0
    size: int = 0


class ErrorBody(msgspec.Struct, array_like=True, frozen=True):
    """An error as names and texts: `code` is that of `actors.errors`, `more` its details."""

    code: str
    message: str
    retryable: bool = False
    maybe_executed: bool = False
    more: dict[str, Any] = {}


_FRAME: Final = msgspec.msgpack.Decoder(list[Envelope])
_ENCODER: Final = msgspec.msgpack.Encoder()
_ERROR: Final = msgspec.msgpack.Decoder(ErrorBody)
_ARRAY_32: Final = b"\xdd"
_ERRORS: Final[dict[str, type[JobdError]]] = {
    cls.code: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, JobdError) and cls.__init__ is JobdError.__init__
}


def frame_of(parts: list[bytes]) -> bytes:
    """Return the frame of encoded envelopes."""
    return b"".join((_ARRAY_32, len(parts).to_bytes(4, "big"), *parts))


def decode_frame(frame: bytes) -> list[Envelope]:
    """Return the envelopes of a frame. Raises BadFrame."""
    if len(frame) > limits.ENVELOPE_BYTES:
        raise BadFrame(f"a frame of {len(frame)} bytes, over {limits.ENVELOPE_BYTES}")
    if frame[:1] == _ARRAY_32 and int.from_bytes(frame[1:5], "big") > limits.ENVELOPES_PER_FRAME:
        raise BadFrame(f"over {limits.ENVELOPES_PER_FRAME} envelopes in a frame")
    try:
        return _FRAME.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(str(error)) from None


def encode_error(error: BaseException) -> msgspec.Raw:
    """Return the body of an ERROR envelope."""
    message = str(error)[: limits.VALUE_BYTES]
    if not isinstance(error, JobdError):
        return msgspec.Raw(_ENCODER.encode(ErrorBody("internal", message)))
    body = ErrorBody(
        error.code,
        message,
        error.retryable,
        isinstance(error, ActorUnavailable) and error.maybe_executed,
        {name: getattr(error, name) for name in error.details},
    )
    return msgspec.Raw(_ENCODER.encode(body))


def error_code(body: msgspec.Raw) -> str:
    """Return the code of an error that a peer reported, "" for what is no error."""
    try:
        return _ERROR.decode(body).code
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


def decode_error(body: msgspec.Raw) -> JobdError:
    """Return the error that a peer reported, of the same class where it is known here."""
    try:
        told = _ERROR.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return BadFrame(f"not an error: {error}")
    if told.code == ActorUnavailable.code:
        return ActorUnavailable(told.message, maybe_executed=told.maybe_executed)
    known = _ERRORS.get(told.code, JobdError)(told.message)
    for name in known.details:
        if name in told.more:
            setattr(known, name, told.more[name])
    return known
