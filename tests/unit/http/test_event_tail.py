"""The fan-out of events: who gets what, what the slow lose (nothing), what idle listeners cost."""

from __future__ import annotations

import asyncio

import pytest

from actors import limits
from actors.core.store.txn import Txn
from actors.model.event import Event, EventDraft
from jobd.api import event_tail
from jobd.api.event_tail import EventTails
from tests.unit.http.facade import Facade
from tests.unit.http.test_events_kv_tokens import emit


def event(revision: int, type_: str = "a", subject: str = "s") -> Event:
    return Event(revision, 0, 0, type_, subject)


def test_a_tail_gets_what_its_filter_lets_through() -> None:
    async def listen() -> None:
        tails = EventTails()
        with (
            tails.open((), None) as everything,
            tails.open(("a*",), "s") as some,
            tails.open(("b",), None) as none,
        ):
            tails.publish(event(1, "ab"))
            tails.publish(event(2, "ab", "other"))
            assert [e.revision for e in (await everything.take())[0]] == [1, 2]
            assert [e.revision for e in (await some.take())[0]] == [1]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(none.take(), 0.01)
        assert tails._groups == {}

    asyncio.run(listen())


def test_a_full_tail_says_that_it_left_some_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAIL_EVENTS", 2)

    async def listen() -> None:
        tails = EventTails()
        with tails.open((), None) as tail:
            for revision in range(1, 6):
                tails.publish(event(revision))
            taken, left_out = await tail.take()
            assert ([e.revision for e in taken], left_out) == ([1, 2], True)
            tails.publish(event(6))
            taken, left_out = await tail.take()
            assert ([e.revision for e in taken], left_out) == ([6], False)

    asyncio.run(listen())


def test_a_commit_costs_a_group_of_listeners_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(*args: object) -> bool:
        nonlocal looks
        looks += 1
        return False

    monkeypatch.setattr(event_tail, "matches", counted)
    tails = EventTails()
    opened = [tails.open(("x",), None) for _ in range(1_000)]
    opened += [tails.open((), f"job/{i}") for i in range(1_000)]
    for one in opened:
        one.__enter__()
    tails.publish(event(1, "a", "kv/app/k"))
    assert looks == 1
    tails.publish(event(2, "a", "job/7"))
    assert looks == 3


def test_a_stream_that_fell_behind_loses_nothing(
    served: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TAIL_EVENTS", 3)
    with served.stream("/events/stream?types=n") as frames:
        emit(served, "n", n=0)
        assert next(frames)[2]["data"] == {"n": 0}

        def burst() -> None:
            for n in range(1, 300):
                served.gateway.commit(Txn((), (), (EventDraft("n", "s", {"n": n}),)))

        served.do(burst)
        assert [next(frames)[2]["data"]["n"] for _ in range(299)] == list(range(1, 300))


def test_silence_is_filled_with_named_heartbeats(
    served: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.api.events.HEARTBEAT_S", 0.05)
    with served.stream("/events/stream?types=never") as frames:
        assert [next(frames) for _ in range(2)] == [("heartbeat", "", {})] * 2
