"""Plain values on the wire: msgpack, with large bytes lifted into frames of their own.

Arguments and answers of calls are whatever the caller gives, so no type bounds them: depth, length
and number of lifted bytes are checked here. A lifted value is a msgpack ext whose data is the
number of its blob (a byte). What msgpack can't say (a set, a class) is a TypeError: nothing is
silently turned into something else, but for tuples, which arrive as lists, and nothing is pickled.

Used on one thread, the host's: the packer keeps its buffer from value to value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgpack

from actors import limits
from actors.errors import TooLarge

__all__ = ["Blob", "decode_value", "encode_value"]

Blob: TypeAlias = Any  # bytes, bytearray or memoryview; from the wire also a zmq.Frame

_LIFTED: Final = 1  # the ext type
_PACKER: Final = msgpack.Packer()
# fixmap, fixarray, array 16 and 32, map 16 and 32 (msgpack's spec.md)
_NO_CONTAINER: Final = bytes({*range(256)} - {*range(0x80, 0xA0), *range(0xDC, 0xE0)})
_CONTAINERS: Final = (list, dict)  # `list | dict` makes a new type at each look
_LARGE: Final = (bytes, bytearray, memoryview)


def encode_value(value: Any, parts: Sequence[Any] | None = None) -> tuple[bytes, tuple[Blob, ...]]:
    """Return a value's body and its blobs. Raises TypeError, TooLarge.

    `parts`: where large bytes are likely, by default the value and what it directly holds. Others
    are found too, at the price of being packed first.
    """
    if parts is None:
        parts = value if isinstance(value, list | tuple) else (value,)
    blobs: list[Blob] = []
    try:
        if not any(map(_is_large, parts)):
            body: bytes = _PACKER.pack(value)
            if len(body) <= limits.BLOB_FROM_BYTES:
                return body, ()
        body = _PACKER.pack(_lift(value, blobs, limits.ENVELOPE_DEPTH))
    except (ValueError, OverflowError) as error:
        raise TypeError(f"it can't be sent: {error}") from None
    if len(body) > limits.ENVELOPE_BYTES // 2:
        raise TooLarge(f"{len(body)} bytes without its blobs, over {limits.ENVELOPE_BYTES // 2}")
    return body, tuple(blobs)


def decode_value(body: bytes | memoryview, blobs: tuple[Blob, ...] = ()) -> Any:
    """Return the value of a body. Raises ValueError for one that is none, or is too deep."""
    try:
        value = msgpack.unpackb(
            body, strict_map_key=False, ext_hook=_lifted_from(blobs) if blobs else _no_blob
        )
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None
    # A level begins with a byte of these, so few of them are no reason to look.
    if len(bytes(body).translate(None, _NO_CONTAINER)) >= limits.ENVELOPE_DEPTH:
        _check_depth(value)
    return value


def _lifted_from(blobs: tuple[Blob, ...]) -> Callable[[int, bytes], bytes]:
    def lifted(code: int, data: bytes) -> bytes:
        if code != _LIFTED or len(data) != 1 or data[0] >= len(blobs):
            raise ValueError(f"ext {code} is no blob of this message")
        blob = blobs[data[0]]
        return blob if isinstance(blob, bytes) else bytes(blob)

    return lifted


_no_blob: Final = _lifted_from(())


def _is_large(value: Any) -> bool:
    return isinstance(value, _LARGE) and len(value) > limits.BLOB_FROM_BYTES


def _lift(value: Any, blobs: list[Blob], depth: int) -> Any:
    """Return the value with its large bytes moved to `blobs`. Raises ValueError, TooLarge."""
    if _is_large(value):
        if len(value) > limits.BLOB_BYTES:
            raise TooLarge(f"bytes of {len(value)}, over {limits.BLOB_BYTES} (BLOB_BYTES)")
        if len(blobs) == limits.BLOBS_PER_MESSAGE:
            raise TooLarge(f"over {limits.BLOBS_PER_MESSAGE} large bytes (BLOBS_PER_MESSAGE)")
        blobs.append(bytes(value))  # a buffer could change before it is sent
        return msgpack.ExtType(_LIFTED, bytes((len(blobs) - 1,)))
    if depth == 0:
        raise ValueError(f"deeper than {limits.ENVELOPE_DEPTH}")
    if isinstance(value, dict):
        return {key: _lift(inner, blobs, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_lift(inner, blobs, depth - 1) for inner in value]
    return value


def _check_depth(value: Any) -> None:
    """Refuse a value that is too deep. Raises ValueError."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limits.ENVELOPE_DEPTH):
        if not level:
            return
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, _CONTAINERS)
        ]
    raise ValueError(f"deeper than {limits.ENVELOPE_DEPTH}")
