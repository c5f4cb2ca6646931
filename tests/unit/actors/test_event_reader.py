"""Who acts upon events finds them all, elsewhere when they were dropped, and says what is gone."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from actors import addresses
from actors.consensus_replica import Nudge, SubmitTxn, Subscribe
from actors.core.peers import Peers
from actors.core.ports import EventPage
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.event_bus import EventsCame, FollowEvents
from actors.event_reader import _PAGE
from actors.image_writer import ReadEvents
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event, EventDraft, matches, parse_event_id
from actors.model.session import Session
from actors.model.spec import JobSpec
from actors.model.target import Target
from actors.model.trigger import EventSource, TriggerRecord
from actors.peer_door import PeerEvents, ReadPeerEvents
from actors.runtime import Context, Effects, LoopActor, Reply, SimHost, Tell, handles
from actors.triggers import Triggers

ME, OTHER = "n1", "n2"


class World:
    """A node with triggers, a store that commits at once, and a bus that has dropped events."""

    def __init__(self) -> None:
        self.state = State()
        self.host = SimHost(1)
        self.events: list[Event] = []
        self.floor = (0, 0)  # of this node's event log
        self.others_floor = (0, 0)
        self.unpublished = 0  # of the newest events: the view has them, the bus not yet
        self.peers = Peers(ME)
        self.peers.update(
            voters=(ME,), alive=frozenset({ME, OTHER}), leader=ME,
            isolated_since_ms=None, conditions=(), keeps_time=True,
        )  # fmt: skip
        spec = JobSpec(name="t", type="command", argv=("true",))
        trigger = TriggerRecord(
            principal="p", created_ms=1, updated_ms=1,
            target=Target("job", "t"), events=EventSource(("x",)),
        )  # fmt: skip
        self.commit(
            Txn((), (
                (keys.session(ME), encode(Session("up", 1, 1, ME))),
                (keys.template("t"), encode(spec)),
                (keys.trigger("t"), encode(trigger)),
            ))
        )  # fmt: skip

    def commit(self, txn: Txn) -> object:
        result = self.state.apply(txn)
        self.events += self.state.take_events()
        return result

    def emit(self, type_: str = "x", times: int = 1) -> None:
        for _ in range(times):
            self.commit(Txn((), (), (EventDraft(type_, "s"),), now_ms=1))

    def page(self, asked: ReadEvents | ReadPeerEvents, floor: tuple[int, int]) -> EventPage:
        """Return what a node has dropped everything of up to a floor."""
        behind = max(asked.after, floor)
        kept = [e for e in self.events if e.place > behind and matches(e, asked.types, None)]
        kept = kept[: len(kept) - self.unpublished]
        there = self.events[: len(self.events) - self.unpublished]
        head = there[-1].place if there else (0, 0)
        return EventPage(tuple(kept[: asked.limit]), asked.after < floor, head)

    def start(self) -> None:
        world = self

        class Replica(LoopActor):
            @handles(Subscribe)
            def subscribe(self, message: Subscribe, context: Context) -> Effects:
                return None

            @handles(SubmitTxn)
            def submit(self, message: SubmitTxn, context: Context) -> Iterator[object]:
                assert context.reply is not None
                yield Reply(context.reply, world.commit(message.txn))
                yield Tell(addresses.TRIGGERS, Nudge())

        class Bus(LoopActor):
            @handles(FollowEvents)
            def follow(self, message: FollowEvents, context: Context) -> Effects:
                return None

            @handles(ReadEvents)
            def read(self, message: ReadEvents, context: Context) -> Effects:
                assert context.reply is not None
                page = world.page(message, world.floor)
                return [Reply(context.reply, page)]

        class Door(LoopActor):
            @handles(ReadPeerEvents)
            def read(self, message: ReadPeerEvents, context: Context) -> Effects:
                assert context.reply is not None
                page = world.page(message, world.others_floor)
                return [Reply(context.reply, PeerEvents(page.events, page.gap))]

        self.host.spawn(Replica, addresses.REPLICA)
        self.host.spawn(Bus, addresses.EVENT_BUS)
        self.host.spawn(Door, f"jobd://{OTHER}{addresses.PEER_DOOR}")
        self.host.spawn(lambda: Triggers(self.state, self.peers), addresses.TRIGGERS)
        self.host.run_for(5.0)

    def started(self) -> list[str]:
        """The events that jobs were started for, in their order; each id is a random one."""
        ids = [entry.noun.cause.id for _, entry in self.state.scan("job/")]
        return sorted(ids, key=parse_event_id)

    def told(self, type_: str) -> list[Event]:
        return [event for event in self.events if event.type == type_]


@pytest.fixture
def world() -> World:
    return World()


def wanted(world: World) -> list[str]:
    return [event.id for event in world.told("x")]


def test_more_events_than_a_page_holds_are_all_found(world: World) -> None:
    world.emit(times=2 * _PAGE + 7)
    world.emit("y", times=50)
    world.start()
    assert world.started() == wanted(world)
    world.emit(times=3)
    world.host.tell(addresses.TRIGGERS, EventsCame())
    world.host.run_for(2.0)
    assert world.started() == wanted(world)


def test_an_event_that_the_view_has_before_the_bus_is_found_when_it_is_published(
    world: World,
) -> None:
    world.start()
    world.emit()
    world.unpublished = 1
    world.host.tell(addresses.TRIGGERS, Nudge())
    world.host.run_for(1.0)
    assert world.started() == []
    world.unpublished = 0
    world.host.tell(addresses.TRIGGERS, EventsCame())
    world.host.run_for(1.0)
    assert world.started() == wanted(world)


def test_what_this_node_has_dropped_is_read_from_another(world: World) -> None:
    world.emit(times=_PAGE + 20)
    world.floor = world.events[_PAGE + 5].place
    world.start()
    assert world.started() == wanted(world)
    assert not world.told("jobd:trigger:gap")


def test_what_no_node_has_is_a_gap_that_is_said_and_the_rest_is_found(world: World) -> None:
    world.emit(times=40)
    world.floor = world.others_floor = world.events[9].place
    world.start()
    assert world.started() == wanted(world)[10:]
    (gap,) = world.told("jobd:trigger:gap")
    assert gap.subject == "trigger/t"


def test_a_trigger_that_changes_is_looked_at_anew(world: World) -> None:
    world.emit("y", times=2)
    world.start()
    assert world.started() == []
    entry = world.state.get(keys.trigger("t"))
    assert entry is not None
    changed = msgspec.structs.replace(entry.noun, events=EventSource(("[xy]",)))
    world.commit(Txn((), ((keys.trigger("t"), encode(changed)),)))
    world.host.tell(addresses.TRIGGERS, Nudge())
    world.host.run_for(2.0)
    assert world.started() == [event.id for event in world.told("y")]


def test_a_place_moves_ahead_of_retention_though_nothing_matched(world: World) -> None:
    world.start()
    world.emit("y", times=10_050)
    for _ in range(3):
        world.host.tell(addresses.TRIGGERS, EventsCame())
        world.host.run_for(10.0)
    entry = world.state.get(keys.trigger("t"))
    assert entry is not None
    assert entry.noun.after[0] > 10_000
