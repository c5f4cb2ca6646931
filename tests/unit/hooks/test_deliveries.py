"""Deliveries: each event once in the ledger, tried by the schedule, ended by what receivers say."""

from __future__ import annotations

from typing import Any

import pytest

from actors import limits
from actors.core.store.txn import Txn
from actors.core.trigger import Sent, enqueue, redeliver, remove_hook, room_of, sends_for, sent
from actors.core.trigger.deliveries import PER_TXN, RETRIES_MS, webhook_id
from actors.core.webhook.body import fill_event, holes_problem, write_body
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event, EventDraft
from actors.model.hook import Delivery, HookRecord, Sending
from actors.model.trigger import EventSource
from tests.unit.jobs.given import Given

HOOK = keys.hook("h")
LAST = 1 << 30
GOOD, BAD, GONE = Sent(204, "", 5), Sent(500, "500 oops", 5), Sent(410, "410", 5)


class World(Given):
    """A hook `h` on everything."""

    def __init__(self) -> None:
        super().__init__()
        sends = Sending(url="https://example.com/")
        record = HookRecord(
            principal="p", created_ms=1, updated_ms=1, events=EventSource(("*",)), sends=sends
        )
        self.commit(Txn((), ((HOOK, encode(record)),)))

    def emit(self, type_: str = "a", subject: str = "s", **data: Any) -> Event:
        self.state.apply(Txn((), (), (EventDraft(type_, subject, data),), now_ms=self.now))
        return self.state.take_events()[-1]

    def enqueue(self, *events: Event) -> Txn | None:
        upto = (self.state.revision, LAST)
        return enqueue(self.state, "h", events, upto, now_ms=self.now)

    def put(self) -> str:
        event = self.emit()
        self.commit(self.enqueue(event))
        return keys.delivery("h", event.revision, event.k)

    def delivery(self, key: str) -> Delivery:
        entry = self.state.get(key)
        assert entry is not None
        delivery: Delivery = entry.noun
        return delivery

    def hook(self) -> HookRecord:
        entry = self.state.get(HOOK)
        assert entry is not None
        record: HookRecord = entry.noun
        return record

    def sent(self, key: str, result: Sent) -> list[str]:
        return self.commit(sent(self.state, key, result, now_ms=self.now))


@pytest.fixture
def world() -> World:
    return World()


def test_an_event_is_one_delivery_whoever_decides(world: World) -> None:
    event = world.emit()
    here, there = world.enqueue(event), world.enqueue(event)
    world.commit(here)
    assert world.conflicts(there)
    assert world.enqueue(event) is None
    assert world.state.count("delivery") == 1


def test_its_id_is_of_hook_and_event_alone(world: World) -> None:
    key = world.put()
    first = webhook_id(key)
    world.sent(key, BAD)
    world.commit(redeliver(world.state, key, now_ms=world.now))
    assert webhook_id(key) == first == f"msg_h_{world.delivery(key).event.id}"


def test_the_schedule_ends_after_its_last_try_and_says_so(world: World) -> None:
    key = world.put()
    for n, delay_ms in enumerate(RETRIES_MS, 1):
        assert world.sent(key, BAD) == []
        record = world.delivery(key)
        assert (record.state, record.attempts, record.due_ms) == (
            "pending",
            n,
            world.now + delay_ms,
        )
        world.now = record.due_ms
    assert world.sent(key, BAD) == ["jobd:hook:failed"]
    assert world.delivery(key).state == "failed"
    assert world.delivery(key).detail == "500 oops"
    assert sent(world.state, key, GOOD, now_ms=world.now) is None


def test_what_is_delivered_is_delivered(world: World) -> None:
    key = world.put()
    here = sent(world.state, key, GOOD, now_ms=world.now)
    there = sent(world.state, key, BAD, now_ms=world.now)
    world.commit(here)
    assert world.conflicts(there)
    assert (world.delivery(key).state, world.delivery(key).status) == ("delivered", 204)


def test_gone_disables_the_hook(world: World) -> None:
    key, other = world.put(), world.put()
    assert world.sent(key, GONE) == ["jobd:hook:disabled"]
    assert "410" in world.hook().disabled
    assert world.sent(other, GONE) == []
    assert world.enqueue(world.emit()) is None


def test_a_redelivery_begins_the_schedule_anew(world: World) -> None:
    key = world.put()
    world.sent(key, GOOD)
    world.now += 5
    world.commit(redeliver(world.state, key, now_ms=world.now))
    record = world.delivery(key)
    assert (record.state, record.tries, record.attempts, record.due_ms) == (
        "pending", 0, 1, world.now,
    )  # fmt: skip
    assert redeliver(world.state, keys.delivery("h", 9, 9), now_ms=1) is None


def test_there_is_room_for_so_many_and_the_place_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOOK_PENDING", 3)
    events = [world.emit() for _ in range(5)]
    world.commit(world.enqueue(*events))
    assert world.hook().after == events[2].place
    assert room_of(world.state, "h") == 0
    assert world.enqueue(*events) is None
    world.sent(keys.delivery("h", *events[0].place), GOOD)
    world.commit(world.enqueue(*events))
    assert world.hook().after == events[3].place


def test_the_ledger_keeps_so_many_that_have_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOOK_DELIVERIES_KEPT", 2)
    keys_ = [world.put() for _ in range(4)]
    for key in keys_:
        world.sent(key, GOOD)
    newest = world.put()
    assert [key for key, _ in world.state.scan("delivery/")] == [*keys_[2:], newest]


def test_a_transaction_of_the_largest_fits(world: World) -> None:
    text = "x" * (limits.HOOK_EVENT_BYTES - 100)
    events = [world.emit(x=text) for _ in range(PER_TXN + 1)]
    world.commit(world.enqueue(*events))
    assert world.state.count("delivery") == PER_TXN
    world.commit(world.enqueue(*events))
    cut = world.emit(x=text * 2)
    world.commit(world.enqueue(cut))
    assert world.delivery(keys.delivery("h", *cut.place)).is_cut


def test_a_hook_is_not_told_of_itself(world: World) -> None:
    assert not sends_for("h", world.hook(), world.emit("jobd:hook:failed", HOOK))
    assert sends_for("h", world.hook(), world.emit("jobd:hook:failed", keys.hook("other")))


def test_deleted_with_all_that_it_owes(world: World) -> None:
    world.put()
    change = remove_hook(world.state, "h")
    world.commit(Txn(change.checks, change.ops))
    assert world.state.count("delivery") == world.state.count("hook") == 0


# -- bodies

EVENT = Event(7, 2, 1_700_000_000_123, "order:made", "orders/7", {"n": 12, "x": {"y": [1]}}, "t")


def test_a_cloud_event_has_the_attributes_of_the_specification() -> None:
    written = write_body(Sending(url="u"), EVENT, source="jobd://c", is_cut=False)
    assert written.content_type.startswith("application/cloudevents+json")
    assert written.body == (
        b'{"specversion":"1.0","id":"7-2","source":"jobd://c","type":"order:made",'
        b'"time":"2023-11-14T22:13:20.123Z","datacontenttype":"application/json",'
        b'"data":{"n":12,"x":{"y":[1]}},"subject":"orders/7","traceparent":"t"}'
    )


def test_slack_gets_one_line_without_markup_of_others() -> None:
    event = Event(1, 0, 0, "jobd:job:failed", "job/1", {"name": "a<b>", "reason": "exit", "x": ""})
    written = write_body(Sending(url="u", format="slack"), event, source="", is_cut=False)
    assert written.body == (b'{"text":"`jobd:job:failed` *a&lt;b&gt;* job/1 (reason: exit)"}')


def test_a_template_is_data_and_filled_once() -> None:
    event = Event(1, 0, 0, "t", "", {"a": "${event.type}", "n": 5, "l": [{"b": True}]})
    template = {
        "text": "n=${event.data.n} a=${event.data.a} none=${event.data.none}",
        "n": "${event.data.n}",
        "deep": ["${event.data.l.0.b}", "${event.data.none}", 1, None],
    }
    assert fill_event(template, event) == {
        "text": "n=5 a=${event.type} none=",
        "n": 5,
        "deep": [True, None, 1, None],
    }


@pytest.mark.parametrize(
    "bad", ["${event}", "${env.HOME}", "${event.datum}", "${event.type", "${}"]
)
def test_a_hole_that_is_none_is_found_when_it_is_put(bad: str) -> None:
    assert holes_problem({"a": ["x " + bad]})
    assert not holes_problem({"a": "$5 ${event.data.x}"})
