"""Values, headers, hellos and streams, against models and any input."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import limits
from actors.errors import TooLarge
from actors.runtime import Context, Effects, Invoke, Item, LoopActor, LoopHost, Reply, handles
from actors.runtime.dedup import DedupWindow
from actors.runtime.envelope import BadFrame, Envelope, decode_frame, frame_of
from actors.runtime.header import Header, decode_header, encode_header
from actors.runtime.hello import Hello, decode_hello, encode_hello
from actors.runtime.outlet import Outlet
from actors.runtime.signals import StreamCredit
from actors.runtime.values import decode_value, encode_value
from actors.runtime.vocabulary import Vocabulary

LARGE = limits.BLOB_FROM_BYTES + 1
BYTES = st.binary(max_size=20) | st.integers(LARGE - 2, LARGE + 2).map(bytes)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20) | BYTES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.text(max_size=20)


def large_bytes(value: Any) -> list[bytes]:
    """Return the bytes of a value that must travel in frames of their own."""
    if isinstance(value, bytes):
        return [value] if len(value) > limits.BLOB_FROM_BYTES else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for each in inner for found in large_bytes(each)]


@settings(deadline=None)
@given(PLAIN)
def test_a_value_arrives_and_its_large_bytes_beside_it(value: object) -> None:
    lifted = large_bytes(value)
    if len(lifted) > limits.BLOBS_PER_MESSAGE:
        with pytest.raises(TooLarge):
            encode_value(value)
        return
    body, blobs = encode_value(value)
    assert sorted(blobs) == sorted(lifted)
    assert len(body) <= limits.ENVELOPE_BYTES // 2
    assert decode_value(body, blobs) == value


@settings(deadline=None)
@given(st.text(max_size=9), st.lists(PLAIN, max_size=3), st.dictionaries(NAMES, PLAIN, max_size=3))
def test_a_call_arrives(method: str, args: list[object], kwargs: dict[str, object]) -> None:
    if len(large_bytes([args, kwargs])) > limits.BLOBS_PER_MESSAGE:
        return
    call = Invoke(method, tuple(args), kwargs, 7)
    words = Vocabulary([])
    assert words.decode(*words.encode(call)) == call


@given(st.binary(max_size=300), st.lists(st.binary(max_size=9), max_size=2))
def test_any_bytes_are_a_value_or_are_refused(body: bytes, blobs: list[bytes]) -> None:
    words = Vocabulary([])
    for name in ("", "Invoke", "Terminated", "Unknown"):
        try:
            words.decode(name, msgspec.Raw(body), tuple(blobs))
        except BadFrame:
            continue


@given(st.builds(Header, st.just(1), NAMES, NAMES, NAMES, st.lists(NAMES).map(tuple), st.just(3)))
def test_a_header_arrives(header: Header) -> None:
    assert decode_header(encode_header(header)) == header


@given(st.binary(max_size=100))
def test_any_bytes_are_a_header_and_a_hello_or_are_refused(junk: bytes) -> None:
    for decode in (decode_header, lambda body: decode_hello(msgspec.Raw(body))):
        try:
            decode(junk)
        except BadFrame:
            continue


@given(st.builds(Hello, NAMES, st.integers(0, 9), token=NAMES, key=st.binary(max_size=16)))
def test_a_hello_arrives(hello: Hello) -> None:
    assert decode_hello(encode_hello(hello)) == hello


def test_a_frame_of_too_many_envelopes_is_refused_unread() -> None:
    part = msgspec.msgpack.encode(Envelope(1, 0))
    assert len(decode_frame(frame_of([part] * limits.ENVELOPES_PER_FRAME))) > 0
    with pytest.raises(BadFrame, match="envelopes in a frame"):
        decode_frame(frame_of([part] * (limits.ENVELOPES_PER_FRAME + 1)))


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 9), st.booleans()), max_size=60),
    st.integers(1, 6),
    st.integers(1, 20),
)
def test_answers_are_kept_within_their_room(
    steps: list[tuple[int, int, bool]], size: int, room: int
) -> None:
    window = DedupWindow(size, room)
    answers: dict[int, bytes | None] = {}
    for number, length, is_kept in steps:
        verdict = window.admit(number)
        if verdict == "new":
            assert number not in answers
            if length:
                answers[number] = b"x" * (length + 1) if is_kept else None
                window.answered(number, answers[number])
        elif isinstance(verdict, bytes):
            assert verdict == answers[number]
        kept = [answer for answer in window._known.values() if len(answer) > 1]
        assert sum(map(len, kept)) <= room
        assert window._room == room - sum(map(len, kept))


class Producer(LoopActor):
    """Sends numbers in bursts, as many as it may; `most` is how far it was ahead."""

    def __init__(self, count: int, burst: int) -> None:
        self.left = list(range(count))
        self.burst = burst

    @handles(Invoke)
    def start(self, message: Invoke, context: Context) -> Effects:
        assert isinstance(context.reply, Outlet)
        return self.go_on(StreamCredit(context.reply), context)

    @handles(StreamCredit)
    def go_on(self, message: StreamCredit, context: Context) -> Effects:
        effects: list[Any] = []
        while self.left and len(effects) < min(message.to.items, self.burst):
            effects.append(Item(message.to, self.left.pop(0)))
        if not self.left:
            effects.append(Reply(message.to))
        elif len(effects) < message.to.items:
            self._host.tell(self.address, message)
        return effects

    _host: LoopHost


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 60),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 400),
    st.integers(0, 60),
    st.sampled_from(["loop", "thread"]),
)
def test_a_stream_is_whole_and_never_ahead(
    count: int, burst: int, items: int, size: int, reads: int, reader: str
) -> None:
    async def main() -> None:
        host = LoopHost()
        producer = Producer(count, burst)
        producer._host = host
        host.spawn(lambda: producer, "/producer")
        stream = host.stream("/producer", Invoke("go"), credit_items=items, credit_bytes=size)
        got: list[int] = []
        if reader == "thread":
            got = await asyncio.to_thread(lambda: list(stream))
            assert got == list(range(count))
        else:
            async for number in stream:
                got.append(number)
                ahead = count - len(producer.left) - len(got)
                assert ahead <= 2 * items
                if len(got) == reads:
                    await stream.aclose()
            assert got == list(range(count))[: reads or count]
        await host.shutdown()

    asyncio.run(main())
