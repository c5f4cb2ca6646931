"""The header in front of a batch: which process it is for, and, once relayed, whose it is.

A message of a link is `[header] [batch] [blob...]`, each a ZeroMQ frame. A sender names the process
it wants ("": the neighbour itself). A node forwards the rest as it is, without decoding it, and
puts a header of its own in front: who sent it, as the node knows that process, and what it may do.
Fields are only ever added at the end.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.runtime.envelope import VERSION, BadFrame

__all__ = ["DIRECT", "Header", "decode_header", "encode_header"]


class Header(msgspec.Struct, array_like=True, frozen=True):
    """Where a batch goes to and where it comes from; what a relay has not stamped is empty."""

    version: int
    to: str = ""
    source: str = ""
    principal: str = ""
    scopes: tuple[str, ...] = ()
    incarnation: int = 0


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Header)


def encode_header(header: Header) -> bytes:
    """Return the frame of a header."""
    return _ENCODER.encode(header)


DIRECT: Final = encode_header(Header(VERSION))
_DIRECT: Final = Header(VERSION)


def decode_header(frame: bytes) -> Header:
    """Return the header of a frame. Raises BadFrame."""
    if frame == DIRECT:
        return _DIRECT
    try:
        header = _DECODER.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(f"not a header: {error}") from None
    if header.version != VERSION:
        raise BadFrame(f"a header of version {header.version}, not {VERSION}")
    return header
