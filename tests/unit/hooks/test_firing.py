"""Events start jobs once each: whoever decides, in whatever pieces, and never for ever."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from actors import limits
from actors.core.store.txn import Txn
from actors.core.trigger import Looked, define_trigger, fire, fires_for, miss, remove_trigger
from actors.errors import Busy, Conflict, NotFound
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.event import Event, EventDraft, cause_of
from actors.model.ids import make_id
from actors.model.spec import JobSpec
from actors.model.target import Target
from actors.model.trigger import EventSource, TriggerRecord, WebhookSource
from tests.unit.jobs.given import Given

KEY = keys.trigger("t")
LAST = 1 << 30


class World(Given):
    """A trigger `t` on `order:*`, its template, and events."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = count(1)
        self.template()
        self.define()

    def template(self, **spec: Any) -> None:
        wanted = JobSpec(name="t", type="command", argv=("true",), **spec)
        self.commit(Txn((), ((keys.template("t"), encode(wanted)),)))

    def define(self, name: str = "t", **more: Any) -> None:
        wanted: dict[str, Any] = {
            "target": Target("job", "t"),
            "events": EventSource(("order:*",)),
        } | more
        record = TriggerRecord(principal="p", created_ms=self.now, updated_ms=self.now, **wanted)
        change = define_trigger(self.state, name, record)
        self.commit(Txn(change.checks, change.ops, change.events))

    @property
    def record(self) -> TriggerRecord:  # type: ignore[override]
        entry = self.state.get(KEY)
        assert entry is not None
        record: TriggerRecord = entry.noun
        return record

    def emit(self, type_: str = "order:made", **more: Any) -> Event:
        self.state.take_events()
        self.state.apply(Txn((), (), (EventDraft(type_, "s", **more),), now_ms=self.now))
        (event,) = self.state.take_events()
        return event

    def fire(self, *events: Event) -> Txn | None:
        looked = Looked(events, (self.state.revision, LAST))
        new_id = lambda: make_id(self.now, next(self.ids))  # noqa: E731
        return fire(self.state, KEY, looked, new_id=new_id, now_ms=self.now)

    def jobs(self) -> list[Any]:
        return [entry.noun for _, entry in self.state.scan("job/")]


@pytest.fixture
def world() -> World:
    return World()


def test_an_event_starts_one_job_whoever_decides(world: World) -> None:
    event = world.emit()
    here, there = world.fire(event), world.fire(event)
    world.commit(here)
    assert world.conflicts(there)
    assert world.fire(event) is None
    (job,) = world.jobs()
    assert job.cause == Cause("event", event.id, 0, (KEY,))
    assert (world.record.fires, world.record.last_ms) == (1, world.now)


def test_the_job_gets_the_event_beside_its_own_input(world: World) -> None:
    world.template(input={"a": 1}, has_input=True)
    world.commit(world.fire(world.emit(data={"n": 2})))
    ((_, spec),) = world.state.scan("spec/")
    assert spec.noun.input["a"] == 1
    assert spec.noun.input["event"]["data"] == {"n": 2}


def test_the_data_of_a_huge_event_is_left_out_and_it_says_so(world: World) -> None:
    world.commit(world.fire(world.emit(data={"x": "y" * limits.EVENT_INPUT_BYTES})))
    ((_, spec),) = world.state.scan("spec/")
    assert spec.noun.input["event"]["data_is_cut"] is True


def test_many_events_are_several_transactions_and_each_fires_once(world: World) -> None:
    events = [world.emit() for _ in range(40)]
    while (txn := world.fire(*events)) is not None:
        world.commit(txn)
    assert [job.cause.id for job in world.jobs()] == [event.id for event in events]
    assert world.record.fires == 40


def test_two_that_would_take_the_same_key_are_two_transactions(world: World) -> None:
    world.template(idempotency_key="one", idempotency_ttl_ms=60_000)
    events = [world.emit(), world.emit()]
    world.commit(world.fire(*events))
    assert world.record.after == events[0].place
    told = world.commit(world.fire(*events))
    assert told == ["jobd:trigger:refused"]
    assert len(world.jobs()) == 1


def test_what_cannot_start_is_said_and_passed(world: World) -> None:
    world.commit(Txn((), ((keys.template("t"), None),)))
    event = world.emit()
    assert world.commit(world.fire(event)) == ["jobd:trigger:refused"]
    assert world.record.refused == 1
    assert world.fire(event) is None


def test_a_storm_of_its_own_making_ends_and_says_so(world: World) -> None:
    world.define(events=EventSource(("jobd:job:submitted",)))
    event, told = world.emit("jobd:job:submitted"), 0
    for _ in range(100):
        txn = world.fire(event)
        assert txn is not None
        assert world.state.apply(txn)
        made = world.state.take_events()
        if made[0].type == "jobd:trigger:refused":
            assert made[0].data["reason"] == "loop"
            told += 1
            break
        event = made[0]
    assert told == 1
    assert len(world.jobs()) == limits.CAUSE_REPEATS


def test_a_chain_through_many_triggers_ends_at_its_depth(world: World) -> None:
    behind = Cause("job", "x", limits.CAUSE_DEPTH, ("trigger/other",))
    world.state.take_events()
    world.state.apply(Txn((), (), (EventDraft("order:made", "s", {}, "", behind),)))
    (event,) = world.state.take_events()
    world.commit(world.fire(event))
    assert world.record.refused == 1
    assert not world.jobs()


def test_what_happens_to_triggers_starts_nothing(world: World) -> None:
    world.define(events=EventSource(("*",)))
    for type_ in ("jobd:trigger:refused", "jobd:hook:failed"):
        assert not fires_for(world.record, world.emit(type_))
    assert fires_for(world.record, world.emit("anything"))


def test_a_filter_looks_into_the_data(world: World) -> None:
    where = (("order.country", ("de", "at")), ("items.0.n", 1), ("$.paid", True))
    world.define(events=EventSource(("order:*",), where))
    good = {"order": {"country": "at"}, "items": [{"n": 1}], "paid": True}
    assert fires_for(world.record, world.emit(data=good))
    wrong: list[dict[str, Any]] = [
        {"paid": 1}, {"order": {}}, {"items": []}, {"items": [{"n": True}]},
    ]  # fmt: skip
    for bad in wrong:
        assert not fires_for(world.record, world.emit(data=good | bad))


def test_a_gap_is_said_once(world: World) -> None:
    txn = miss(world.state, KEY, (world.state.revision, LAST), world.now)
    world.emit()
    told = world.commit(txn)
    assert told == ["jobd:trigger:gap"]
    assert miss(world.state, KEY, (1, 0), world.now) is None


def test_a_trigger_defined_anew_goes_on_from_where_it_was(world: World) -> None:
    event = world.emit()
    world.define(events=EventSource(("order:made",)))
    world.commit(world.fire(event))
    world.define()
    assert world.record.fires == 1
    assert world.fire(event) is None


def test_a_new_trigger_begins_with_what_happens_next() -> None:
    world = World()
    world.commit(Txn((), ((KEY, None),)))
    before = world.emit()
    world.define()
    assert not fires_for(world.record, before)
    assert fires_for(world.record, world.emit())


def test_a_path_is_one_triggers(world: World) -> None:
    hook = WebhookSource("gh", "github", ("s",))
    world.define("a", events=None, webhook=hook)
    with pytest.raises(Conflict):
        world.define("b", events=None, webhook=hook)
    world.define("a", events=None, webhook=WebhookSource("other", "none"))
    world.define("b", events=None, webhook=hook)
    with pytest.raises(Conflict):
        world.define("a", events=None, webhook=None, target=Target("pipeline", "a"))
    change = remove_trigger(world.state, "b")
    world.commit(Txn(change.checks, change.ops))
    assert world.state.get(keys.webhook("gh")) is None
    with pytest.raises(NotFound):
        remove_trigger(world.state, "b")


def test_there_is_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIGGERS", 1)
    world.define()
    with pytest.raises(Busy):
        world.define("b")


def test_the_cause_of_a_jobs_event_is_in_its_data(world: World) -> None:
    world.commit(world.fire(world.emit()))
    event = world.emit("jobd:job:x", data={"cause": {"kind": "event", "id": "1-0", "depth": 4}})
    assert cause_of(event) == Cause("event", "1-0", 4)
    assert cause_of(world.emit("x", data={"cause": {"kind": "event", "id": "1-0"}})) is None
    assert cause_of(world.emit("jobd:x", data={"cause": {"kind": "nonsense"}})) is None


def test_what_would_not_fit_into_a_job_is_refused_and_passed(world: World) -> None:
    big = {"x": "y" * (limits.EVENT_INPUT_BYTES - 100)}
    world.template(input={"own": "z" * 20_000}, has_input=True)
    assert world.commit(world.fire(world.emit(data=big))) == ["jobd:trigger:refused"]
    assert world.record.refused == 1
