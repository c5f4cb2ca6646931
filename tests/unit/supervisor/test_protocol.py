"""Frames on the wire: their bytes are fixed, their bounds hold."""

from __future__ import annotations

import pytest

from actors.core.supervisor_protocol import (
    FRAME_BYTES,
    VERSION,
    Ack,
    Exited,
    ExitRecord,
    FrameReader,
    Hello,
    Launch,
    NodeFrame,
    SecretValues,
    Start,
    SupervisorFrame,
    encode_frame,
)
from actors.errors import InvalidInput, TooLarge


def test_the_bytes_are_fixed() -> None:
    """A change here is a change of the protocol: raise VERSION, or append to the arrays."""
    assert VERSION == 1
    assert encode_frame(Hello(1, "n", 7)).hex() == "0000000b94a548656c6c6f01a16e07"
    assert encode_frame(Ack("a")) == b"\0\0\0\x07\x92\xa3Ack\xa1a"
    start = encode_frame(Start("a", 1, Launch(argv=("x",), log_bytes=9)))
    assert start.hex() == (
        "0000002b94a55374617274a16101dc001591a17880c0c03fa45445524dcd2710c0c200000000c0c0c0090000"
        "9180a0"
    )


def test_what_is_printed_names_no_secret() -> None:
    start = Start("a", 1, Launch(argv=("x",), secrets=SecretValues({"TOKEN": "s3cret"})))
    assert "TOKEN" in repr(start)
    assert "s3cret" not in repr(start) + str(start)
    assert b"s3cret" in encode_frame(start)


def test_frames_come_whole_from_any_pieces() -> None:
    frames = [Hello(1, "n", i) for i in range(5)] + [Ack("a" * 300)]
    data = b"".join(map(encode_frame, frames))
    for size in (1, 3, 7, len(data)):
        reader = FrameReader(NodeFrame)
        came = [f for i in range(0, len(data), size) for f in reader.feed(data[i : i + size])]
        assert came == frames


def test_a_newer_side_may_append() -> None:
    """What an older one doesn't know it skips."""
    longer = b"\x93\xa3Ack\xa1a\xc3"
    reader = FrameReader(NodeFrame)
    assert reader.feed(len(longer).to_bytes(4, "big") + longer) == [Ack("a")]


def test_bounds() -> None:
    with pytest.raises(TooLarge):
        encode_frame(Exited("a", ExitRecord(reason="exit", output=bytes(FRAME_BYTES))))
    with pytest.raises(TooLarge):
        FrameReader(NodeFrame).feed((FRAME_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(InvalidInput):
        FrameReader(SupervisorFrame).feed(encode_frame(Ack("a")))
