"""A stream arrives in order and whole, however its parts are mixed, and never without credit."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.envelope import VERSION, Envelope, Kind, decode_frame, frame_of
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello, encode_hello
from jobd.api.message import ApiRequest
from jobd.client.session import Session, message_of

PACK = msgspec.msgpack.encode


def message(kind: Kind, **fields: Any) -> list[bytes]:
    return [DIRECT, frame_of([PACK(Envelope(VERSION, int(kind), incarnation=1, **fields))])]


@given(st.integers(0, 40).flatmap(lambda n: st.permutations(range(n + 1))), st.data())
def test_a_stream_arrives_in_order(order: list[int], data: st.DataObject) -> None:
    session = Session("")
    session.receive(message(Kind.HELLO, body=encode_hello(Hello("n1", 1))))
    reading, part = session.read(ApiRequest("x"))
    (asked,) = decode_frame(message_of([part])[1])
    count, taken, granted = len(order) - 1, [], 0
    for place in order:
        if place == 0:
            end = msgspec.Raw(PACK("end"))
            session.receive(message(Kind.REPLY, corr=asked.corr, items=count, body=end))
        else:
            body = msgspec.Raw(PACK(place))
            session.receive(message(Kind.ITEM, corr=asked.corr, items=place, body=body))
        while reading.is_ready and data.draw(st.booleans()):
            taken.append(reading.take())
            credit = session.grant(reading)
            granted += decode_frame(message_of([credit])[1])[0].items if credit else 0
            assert granted <= len(taken)
    while reading.is_ready:
        taken.append(reading.take())
    assert taken == list(range(1, count + 1))
    assert reading.done
    assert reading.result() == "end"
