"""HELLO: the first envelope of each side of a link, on each of its lanes."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.errors import ConfigError
from actors.runtime.envelope import VERSION, BadFrame

__all__ = [
    "BULK",
    "FEATURES",
    "MIN_VERSION",
    "Hello",
    "agreed_version",
    "decode_hello",
    "encode_hello",
]

MIN_VERSION: Final = 1  # the oldest that this process speaks
BULK: Final = "bulk"  # the lane of frames with blobs; "" is the main one
FEATURES: Final = ("blobs", "relay", "streams")


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """Who speaks, and what it understands. Fields are only ever added at the end.

    `role`: node, child or client. `cluster`: the one that it belongs to or wants, "" for any.
    `token`: a client's. `key`: drawn for each link, so that nobody else can take over its process.
    """

    node: str
    incarnation: int
    min_version: int = MIN_VERSION
    max_version: int = VERSION
    role: str = "child"
    cluster: str = ""
    token: str = ""
    features: tuple[str, ...] = ()
    key: bytes = b""
    lane: str = ""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Hello)


def encode_hello(hello: Hello) -> msgspec.Raw:
    """Return the body of a HELLO envelope."""
    return msgspec.Raw(_ENCODER.encode(hello))


def decode_hello(body: msgspec.Raw) -> Hello:
    """Return the hello of an envelope. Raises BadFrame."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(f"not a hello: {error}") from None


def agreed_version(hello: Hello) -> int:
    """Return the highest version that both ends speak. Raises ConfigError when there is none."""
    agreed = min(VERSION, hello.max_version)
    if agreed < max(MIN_VERSION, hello.min_version):
        raise ConfigError(
            f"it speaks the versions {hello.min_version} to {hello.max_version} of the wire,"
            f" this process {MIN_VERSION} to {VERSION}"
        )
    return agreed
