"""What was served once is served after a power loss, whatever an earlier process left unsynced."""

from __future__ import annotations

import random

import pytest

from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.core.consensus.records import BATCH
from actors.core.ports import LogEntry
from actors.errors import StorageFailed
from actors.model.event import Event
from tests.sim.node.disk import Killed, SimDisk

SEGMENT = 64 * 1024


def open_log(disk: SimDisk) -> SegmentLog:
    return SegmentLog.open(disk.path("log"), SEGMENT, disk)


def open_events(disk: SimDisk) -> EventSegments:
    return EventSegments.open(disk.path("events"), disk=disk)


def entry(index: int) -> LogEntry:
    return LogEntry(index, BATCH, bytes([index]) * 2000)


class Death:
    """A hook of the disk: the process dies at the n-th operation of a kind."""

    def __init__(self) -> None:
        self.what, self.left = "", 0

    def __call__(self, what: str) -> None:
        if what == self.what:
            self.left -= 1
            if not self.left:
                raise Killed


@pytest.mark.parametrize("seed", range(8))
def test_a_record_of_a_failed_sync_is_durable_before_it_is_served(seed: int) -> None:
    disk = SimDisk(lambda _: None)
    log = open_log(disk)
    log.append([entry(1)])
    disk.broken = ""
    with pytest.raises(StorageFailed):
        log.append([entry(2)])
    served = list(open_log(disk).replay(0))
    assert served == [entry(1), entry(2)]  # the page cache still has what the disk has not
    disk.lose_power(random.Random(seed))
    assert list(open_log(disk).replay(0)) == served


@pytest.mark.parametrize("seed", range(8))
def test_a_record_of_a_killed_process_is_durable_before_it_is_served(seed: int) -> None:
    death = Death()
    disk = SimDisk(death)
    log = open_log(disk)
    log.append([entry(1)])
    death.what, death.left = "sync", 1
    with pytest.raises(Killed):
        log.append([entry(2)])
    death.what = ""
    served = list(open_log(disk).replay(0))
    disk.lose_power(random.Random(seed))
    assert list(open_log(disk).replay(0)) == served


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("broken", [False, True])
def test_an_event_of_a_process_before_is_durable_before_it_is_served(
    broken: bool, seed: int
) -> None:
    disk = SimDisk(lambda _: None)
    events = open_events(disk)
    events.append([Event(1, 0, 1, "a", "b")])
    events.flush()
    events.append([Event(2, 0, 1, "a", "b")])
    if broken:
        disk.broken = ""
        with pytest.raises(StorageFailed):
            events.flush()
    served = open_events(disk).read((0, 0), 10)
    assert len(served) == 2
    disk.lose_power(random.Random(seed))
    assert open_events(disk).read((0, 0), 10) == served
