"""A reader of events gets each of them, or is told of the gap, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.state_memory import MemoryStateStore
from actors.consensus_replica import Published
from actors.event_bus import EventBus
from actors.image_writer import ImageWriter, ImageWritten, ReadEvents, WriteImage
from actors.model.event import Event
from actors.runtime import Context, Effects, LoopActor, SimHost, Tell, handles

MANY = 20_000  # more than the bus keeps


def event(revision: int) -> Event:
    return Event(revision, 0, 1_700_000_000_000, "test:made", "", {}, "")


def ignore(_: object) -> None:
    pass


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventSegments]:
    events = EventSegments.open(tmp_path)
    yield events
    events.close()


class Replica(LoopActor):
    """Has the image written."""

    @handles(WriteImage)
    def write(self, message: WriteImage, context: Context) -> Effects:
        return [Tell(addresses.IMAGE, message)]

    @handles(ImageWritten)
    def written(self, message: ImageWritten, context: Context) -> Effects:
        assert message.error is None
        return None


def bus(host: SimHost) -> EventBus:
    actor = host.cells[addresses.EVENT_BUS].actor
    assert isinstance(actor, EventBus)
    return actor


def started(events: EventSegments, unwritten: list[Event]) -> SimHost:
    host = SimHost(1)
    host.spawn(
        lambda: ImageWriter(MemoryStateStore.open(), events, applied_index=0, fatal=ignore),
        addresses.IMAGE,
    )
    host.spawn(
        lambda: EventBus(events.last_revision, unwritten, observe=ignore), addresses.EVENT_BUS
    )
    return host


def read_all(host: SimHost) -> list[int]:
    """Page through all events, as a listener does that was away."""
    seen: list[int] = []
    while True:
        after = (seen[-1] if seen else 0, 0)
        answer = host.ask(addresses.EVENT_BUS, ReadEvents(after, 1000))
        host.run_for(0.1)
        page: Any = answer.get(timeout=1)
        assert not page.gap
        if not page.events:
            return seen
        seen += [found.revision for found in page.events]


def test_events_that_a_crash_kept_from_the_disk_are_read(events: EventSegments) -> None:
    unwritten = [event(revision) for revision in range(1, MANY + 1)]
    host = started(events, unwritten)
    assert read_all(host) == list(range(1, MANY + 1))


def test_events_that_are_slow_to_reach_the_disk_are_read(events: EventSegments) -> None:
    host = started(events, [])
    made = [event(revision) for revision in range(1, MANY + 1)]
    host.tell(addresses.EVENT_BUS, Published(tuple(made)))
    host.run_for(0.1)
    assert read_all(host) == list(range(1, MANY + 1))
    host.spawn(Replica, addresses.REPLICA)
    host.tell(addresses.REPLICA, WriteImage((), tuple(made), 1, MANY, b""))
    host.run_for(1.0)
    assert len(bus(host)._recent) < MANY
    assert read_all(host) == list(range(1, MANY + 1))
