"""The local event log: order, filters, retention, torn tails and damage."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.backends.event_segments import EventSegments
from actors.errors import Corrupt, DataDirectory, ReadOnly, StorageFailed
from actors.model.event import Event, matches
from tests.integration.storage.faults import FaultyDisk

SMALL = 256 * 1024


def events(first: int, revisions: int, each: int = 2) -> list[Event]:
    return [
        Event(
            r, k, r * 10, f"job.{'done' if k else 'started'}", f"job/{r % 7}", {"n": "x" * (r % 90)}
        )
        for r in range(first, first + revisions * 2, 2)  # not every revision has events
        for k in range(each)
    ]


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def log(tmp_path: Path, disk: FaultyDisk) -> Iterator[EventSegments]:
    opened = EventSegments.open(tmp_path / "events", max_bytes=SMALL, max_age_s=100, disk=disk)
    yield opened
    opened.close()


def everything(log: EventSegments) -> list[Event]:
    return log.read((0, 0), 1_000_000)


def fill(log: EventSegments, commits: int) -> list[Event]:
    written: list[Event] = []
    for commit in range(commits):
        batch = events(1 + commit * 20, 10)
        log.append(batch)
        written += batch
        if commit % 5 == 0:
            log.flush()
    return written


def test_events_come_back_in_order_from_any_cursor(log: EventSegments, tmp_path: Path) -> None:
    assert (log.last_revision, log.floor, everything(log)) == (0, (0, 0), [])
    written = fill(log, 60)
    assert len(list((tmp_path / "events").iterdir())) > 3
    again = EventSegments.open(tmp_path / "events", max_bytes=SMALL)
    for each in (log, again):
        assert everything(each) == written
        assert each.last_revision == written[-1].revision
        for at in (0, 1, 2, 399, 400, 777, len(written) - 1):
            cursor = (written[at].revision, written[at].k)
            assert each.read(cursor, 7) == written[at + 1 : at + 8]
        assert each.read((2, 0), 3) == written[2:5]  # a revision without events
    again.close()


def test_events_are_filtered_by_type_and_subject(log: EventSegments) -> None:
    written = fill(log, 10)
    found = log.read((0, 0), 5, types=("job.d*", "pipeline.*"), subject="job/3")
    assert found == [e for e in written if e.type == "job.done" and e.subject == "job/3"][:5]
    assert log.read((0, 0), 5, types=("nothing.*",)) == []
    assert matches(written[0], (), None)


def test_known_revisions_are_ignored(log: EventSegments) -> None:
    written = fill(log, 3)
    log.append(written)
    log.append(written[-4:] + events(written[-1].revision + 1, 1))
    assert everything(log) == written + events(written[-1].revision + 1, 1)


def test_retention_by_size_drops_the_oldest_and_tells_the_floor(log: EventSegments) -> None:
    written = fill(log, 400)
    log.prune(0)
    kept = everything(log)
    assert kept == [e for e in written if (e.revision, e.k) > log.floor]
    assert 0 < len(kept) < len(written)
    assert log.floor == (written[-len(kept) - 1].revision, written[-len(kept) - 1].k)


def test_retention_by_age_may_drop_everything(log: EventSegments, tmp_path: Path) -> None:
    written = fill(log, 60)
    log.prune(written[500].time_ms + 100_000)
    assert (0, 0) < log.floor <= (written[500].revision, written[500].k)
    log.prune(written[-1].time_ms + 100_001)
    assert everything(log) == []
    assert log.floor == (written[-1].revision, written[-1].k)
    log.append(written[-2:])
    assert everything(log) == []
    log.close()
    again = EventSegments.open(tmp_path / "events", max_bytes=SMALL)
    assert (again.last_revision, again.floor) == (written[-1].revision, log.floor)
    again.append(events(written[-1].revision + 1, 1))
    assert everything(again) == events(written[-1].revision + 1, 1)
    again.close()


def test_a_torn_tail_is_dropped_with_its_whole_revision(tmp_path: Path) -> None:
    path = tmp_path / "events"
    log = EventSegments.open(path)
    log.append(events(1, 20))
    log.flush()
    log.append(events(41, 3))
    log.close()
    file = next(path.iterdir())
    whole = file.read_bytes()
    file.write_bytes(whole + b"\xff" * 999)
    EventSegments.open(path).close()
    assert file.read_bytes() == whole
    for cut in range(1, 200, 3):
        file.write_bytes(whole[:-cut])
        log = EventSegments.open(path)
        assert everything(log)[:40] == events(1, 20)
        assert len(everything(log)) % 2 == 0
        log.append(events(41, 3))
        assert everything(log) == events(1, 20) + events(41, 3)
        log.close()


def test_damage_is_never_served_and_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    path, rng = tmp_path / "events", random.Random(5)
    log = EventSegments.open(path, max_bytes=SMALL)
    written = fill(log, 60)
    log.flush()
    log.close()
    files = sorted(path.iterdir())
    for _ in range(300):
        file = rng.choice(files)
        image = bytearray(file.read_bytes())
        whole = bytes(image)
        at = rng.randrange(len(image))
        image[at] ^= 1 << rng.randrange(8)
        file.write_bytes(image)
        try:
            log = EventSegments.open(path, max_bytes=SMALL)
        except (Corrupt, DataDirectory):
            file.write_bytes(whole)
            continue
        try:
            assert everything(log) == written  # the flip was in the very last mark
            assert at >= len(image) - 17
        except Corrupt:
            pass
        finally:
            log.close()
        file.write_bytes(whole)


def test_a_full_disk_adds_nothing_and_goes_on(log: EventSegments, disk: FaultyDisk) -> None:
    written = fill(log, 2)
    for room in (0, 5, 100):
        disk.room = room
        with pytest.raises(ReadOnly):
            log.append(events(1001, 5))
        assert everything(log) == written
    log.append(events(1001, 5))
    assert everything(log) == written + events(1001, 5)


def test_after_a_failed_sync_it_refuses_further_use(log: EventSegments, disk: FaultyDisk) -> None:
    fill(log, 2)
    log.append(events(1001, 1))
    disk.at("sync", 0, errno.EIO)
    with pytest.raises(StorageFailed):
        log.flush()
    disk.heal()
    with pytest.raises(StorageFailed):
        log.append(events(1003, 1))
