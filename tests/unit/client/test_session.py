"""The client's side of the wire, without a socket."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.errors import ActorUnavailable, Busy, Unauthenticated
from actors.runtime.envelope import (
    VERSION,
    BadFrame,
    Envelope,
    Kind,
    decode_frame,
    encode_error,
    frame_of,
)
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello, decode_hello, encode_hello
from actors.runtime.signals import Terminated
from jobd.api.message import ApiRequest
from jobd.client.session import Session, message_of

PACK = msgspec.msgpack.encode


def message(kind: Kind, *blobs: bytes, **fields: Any) -> list[bytes]:
    part = PACK(Envelope(VERSION, int(kind), incarnation=7, **fields))
    return [DIRECT, frame_of([part]), *blobs]


def sent(part: bytes | None) -> Envelope:
    assert part is not None
    (envelope,) = decode_frame(message_of([part])[1])
    return envelope


@pytest.fixture
def session() -> Session:
    session = Session("secret")
    session.receive(message(Kind.HELLO, body=encode_hello(Hello("n1", 7))))
    return session


def test_hello_has_the_token_and_a_name_of_its_own() -> None:
    one, two = (decode_hello(sent(Session("secret").hello()).body) for _ in range(2))
    assert (one.role, one.token) == ("client", "secret")
    assert one.node != two.node
    assert one.key != two.key


def test_a_refusal_of_the_hello_is_raised() -> None:
    refused = message(Kind.ERROR, body=encode_error(Unauthenticated("no")))
    with pytest.raises(Unauthenticated):
        Session("").receive(refused)


def test_a_question_has_one_answer(session: Session) -> None:
    answer, part = session.ask(ApiRequest("get_status"), 1.5, "/api")
    asked = sent(part)
    assert (asked.kind, asked.dst, asked.deadline_ms) == (Kind.ASK, "jobd://n1/api", 1_500)
    session.receive(message(Kind.REPLY, corr=asked.corr, body=msgspec.Raw(PACK([1, "x"]))))
    session.receive(message(Kind.REPLY, corr=asked.corr, body=msgspec.Raw(PACK("again"))))
    assert answer.result() == [1, "x"]
    assert not session.is_waiting


def test_an_error_is_raised_as_what_it_is(session: Session) -> None:
    answer, part = session.ask(ApiRequest("get_status"), 1, "/api")
    session.receive(message(Kind.ERROR, corr=sent(part).corr, body=encode_error(Busy("full"))))
    with pytest.raises(Busy, match="full"):
        answer.result()


def test_items_come_in_order_and_the_end_behind_them(session: Session) -> None:
    reading, part = session.read(ApiRequest("stream_events"))
    asked = sent(part)
    assert asked.items > 0
    assert asked.size > 0
    ended = message(Kind.REPLY, corr=asked.corr, items=3, body=msgspec.Raw(PACK("end")))
    session.receive(item(asked.corr, 2, "b"))
    assert not reading.is_ready
    session.receive(ended)
    session.receive(item(asked.corr, 1, "a"))
    assert not reading.done
    session.receive(item(asked.corr, 3, "c"))
    assert reading.done
    assert [reading.take() for _ in range(3)] == ["a", "b", "c"]
    assert reading.result() == "end"


def item(number: int, order: int, value: Any) -> list[bytes]:
    return message(Kind.ITEM, corr=number, items=order, body=msgspec.Raw(PACK(value)))


def test_credit_goes_back_when_half_of_it_is_taken(session: Session) -> None:
    reading, part = session.read(ApiRequest("stream_events"))
    asked = sent(part)
    for order in range(1, asked.items + 1):
        session.receive(item(asked.corr, order, order))
    granted = []
    for _ in range(asked.items):
        reading.take()
        credit = session.grant(reading)
        if credit is not None:
            granted.append(sent(credit).items)
    assert granted == [asked.items // 2, asked.items // 2]


def test_what_is_cancelled_is_heard_of_no_more(session: Session) -> None:
    reading, part = session.read(ApiRequest("stream_events"))
    assert sent(session.cancel(reading)).kind == Kind.CANCEL
    assert session.cancel(reading) is None
    session.receive(item(sent(part).corr, 1, "late"))
    assert not reading.is_ready


def test_an_ended_actor_is_told(session: Session) -> None:
    reason, part = session.watch("/scheduler")
    assert sent(part).dst == "jobd://n1/scheduler"
    told = Terminated("jobd://n1/scheduler", "stopped")
    session.receive(message(Kind.TELL, type="Terminated", body=msgspec.Raw(PACK(told))))
    assert reason.result() == "stopped"


def test_a_lost_link_fails_all_that_waits(session: Session) -> None:
    waiting = [session.ask(ApiRequest("x"), 1, "/api")[0], session.watch("/x")[0]]
    waiting.append(session.read(ApiRequest("x"))[0])
    with pytest.raises(ActorUnavailable):
        session.receive(message(Kind.GONE))
    woken = []
    waiting[0].wake = lambda: woken.append(1)
    session.fail(Busy("lost"))
    assert woken == [1]
    for answer in waiting:
        with pytest.raises(Busy):
            answer.result()


@pytest.mark.parametrize("frames", [[DIRECT], [DIRECT, b"\xc1"], [DIRECT, b"\x91\x01"]])
def test_what_is_no_message_ends_the_session(session: Session, frames: list[bytes]) -> None:
    with pytest.raises(BadFrame):
        session.receive(frames)
