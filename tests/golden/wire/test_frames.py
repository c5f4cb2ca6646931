"""The bytes on the wire: a change here is a change of protocol; fields are only ever added."""

from __future__ import annotations

import os

import pytest

from actors.errors import ActorUnavailable
from actors.runtime.envelope import Kind, decode_error, decode_frame
from actors.runtime.header import decode_header
from actors.runtime.hello import decode_hello
from actors.runtime.vocabulary import Vocabulary
from tests.golden.wire.frames import BLOB, CALL, GOLDEN, HELLO, LARGE, SOURCE, frames, golden


def test_what_is_sent_is_what_was_always_sent() -> None:
    if os.environ.get("JOBD_GOLDEN") == "rewrite":
        lines = (f"{name} {data.hex()}\n" for name, data in frames().items())
        GOLDEN.write_text("".join(lines))
    assert frames() == golden()


def test_what_was_sent_is_understood() -> None:
    found = golden()
    words = Vocabulary([])
    assert decode_header(found["header.relayed"]) == SOURCE
    assert decode_header(found["header.to"]).to == "client-b"
    (hello,) = decode_frame(found["hello"])
    assert decode_hello(hello.body) == HELLO
    (ask,) = decode_frame(found["ask"])
    assert words.decode(ask.type, ask.body) == CALL
    assert (ask.kind, ask.corr, ask.deadline_ms, ask.incarnation) == (Kind.ASK, 7, 30_000, 3)
    (large,) = decode_frame(found["ask.blob"])
    assert len(found["ask.blob"]) < 200
    assert words.decode(large.type, large.body, (BLOB, BLOB)) == LARGE
    (error,) = decode_frame(found["error"])
    told = decode_error(error.body)
    assert isinstance(told, ActorUnavailable) and told.maybe_executed


@pytest.mark.parametrize("name", ["hello", "ask", "item"])
def test_a_later_version_s_fields_are_left_alone(name: str) -> None:
    frame = golden()[name]
    assert frame[5] == 0x9D  # an envelope of 13 fields; the next version's has one more
    (now,), (later,) = decode_frame(frame), decode_frame(frame[:5] + b"\x9e" + frame[6:] + b"\x01")
    assert now == later
