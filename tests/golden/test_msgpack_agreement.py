"""msgspec and msgpack write the same bytes, so no reader needs to know which one wrote.

docs/decisions/0002 rests on this. The bytes stand here in full: both changing alike is a change of
the format of everything stored.
"""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest

VALUES: list[tuple[Any, str]] = [
    (None, "c0"),
    (True, "c3"),
    (127, "7f"),
    (128, "cc80"),
    (-32, "e0"),
    (-33, "d0df"),
    (1 << 32, "cf0000000100000000"),
    (-(1 << 63), "d38000000000000000"),
    (1.5, "cb3ff8000000000000"),
    ("é", "a2c3a9"),
    ("x" * 32, "d920" + "78" * 32),
    (b"\x00\xff", "c40200ff"),
    ([1, [2]], "92019102"),
    ({"a": [None, b""]}, "81a16192c0c400"),
    ([0] * 16, "dc0010" + "00" * 16),
]


@pytest.mark.parametrize(("value", "golden"), VALUES, ids=[golden[:16] for _, golden in VALUES])
def test_both_write_and_read_the_same_bytes(value: Any, golden: str) -> None:
    raw = bytes.fromhex(golden)
    assert msgspec.msgpack.encode(value) == raw
    assert msgpack.packb(value) == raw
    assert msgspec.msgpack.decode(raw) == value
    assert msgpack.unpackb(raw) == value


def test_a_noun_is_an_array_that_msgpack_reads() -> None:
    class Noun(msgspec.Struct, frozen=True, array_like=True):
        name: str
        at_ms: int = 0

    raw = msgspec.msgpack.encode(Noun("a", 7))
    assert raw == msgpack.packb(["a", 7])
    assert msgspec.msgpack.decode(msgpack.packb(["a"]), type=Noun) == Noun("a", 0)
