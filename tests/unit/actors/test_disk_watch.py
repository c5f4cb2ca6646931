"""High-water marks: the oldest job logs go, then nothing new is taken on, then all by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import addresses, limits
from actors.backends.artifacts import Artifacts
from actors.backends.event_segments import EventSegments
from actors.backends.job_log_archive import Archive, Archived
from actors.backends.job_logs import JobLogs
from actors.backends.segment_log import SegmentLog
from actors.backends.state_memory import MemoryStateStore
from actors.consensus_replica import ConsensusReplica, SubmitTxn
from actors.core import session
from actors.core.consensus.chain import alone
from actors.core.ports import DiskUsage
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn
from actors.disk_watch import DiskWatch
from actors.errors import ReadOnly
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model.ids import make_id
from actors.run_log import RunLog
from actors.runtime import SimHost

TOTAL = 1_000_000
LOG_BYTES = 10_000


class Disk:
    """A file system that has what the job logs take, and `others`."""

    def __init__(self, data: Path) -> None:
        self.logs = JobLogs(data)
        self.others = 0

    def usage(self) -> DiskUsage:
        logs = sum(size for _, size, _ in self.logs._archive._units())
        return DiskUsage(self.others + logs, TOTAL)


def attempt_of(n: int) -> str:
    return f"attempt/{make_id(1_700_000_000_000 + n, 1)}/00000/0001"


def archived(data: Path, count: int) -> None:
    """Leave logs behind, each in a segment of its own: an archive begins one when it is opened."""
    for n in range(count):
        archive = Archive(data / "joblogs")
        archive.pack(Archived(attempt_of(n), 1000 + n, 0, 1), bytes(LOG_BYTES))
        archive.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    archived(tmp_path, 5)
    disk = Disk(tmp_path)
    yield disk
    disk.logs.close()


@pytest.fixture
def host(disk: Disk, tmp_path: Path) -> Iterator[SimHost]:
    state = State()
    log = SegmentLog.open(tmp_path / "log", 64 * 1024)
    events, image = EventSegments.open(tmp_path / "events"), MemoryStateStore.open()
    host = SimHost(1)

    def ignore(_: Any) -> None:
        """Nothing is fatal here."""

    host.spawn(lambda: LogWriter(log, fatal=ignore, observe_fsync=ignore), addresses.LOG)
    host.spawn(lambda: ImageWriter(image, events, applied_index=0, fatal=ignore), addresses.IMAGE)
    host.spawn(
        lambda: ConsensusReplica(alone("n"), state, node="n", backlog=ImageBacklog({}, [])),
        addresses.REPLICA,
    )
    host.spawn(lambda: RunLog(disk.logs, Artifacts(tmp_path / "artifacts")), addresses.RUN_LOG)
    host.spawn(lambda: DiskWatch(disk.usage), addresses.DISK_WATCH)
    opening = session.open_session(state, "n", 1, "n", host.clock.now_ms())
    host.ask(addresses.REPLICA, SubmitTxn(opening, opens_session=True))
    host.run_for(1.0)
    yield host
    log.close()
    events.close()


def logs(disk: Disk) -> list[int]:
    """The places of the logs that are left, oldest first."""
    find = disk.logs._archive.find
    return [n for n in range(5) if find(attempt_of(n)) is not None]


def put(host: SimHost, *, grows: bool) -> Any:
    answer = host.ask(addresses.REPLICA, SubmitTxn(Txn((), (("kv/a/b", b"x"),)), grows=grows))
    host.run_for(0.5)
    return answer.get(timeout=1)


def test_below_the_marks_nothing_happens(host: SimHost, disk: Disk) -> None:
    disk.others = TOTAL * limits.DISK_LOGS_PERCENT // 100 - 6 * LOG_BYTES
    host.run_for(10.0)
    assert logs(disk) == [0, 1, 2, 3, 4]
    assert isinstance(put(host, grows=True), Committed)


def test_the_oldest_logs_go_until_there_is_room(host: SimHost, disk: Disk) -> None:
    disk.others = TOTAL * limits.DISK_LOGS_PERCENT // 100 - 3 * LOG_BYTES
    host.run_for(10.0)
    assert logs(disk) == [3, 4], "three would fit but for their headers"
    used, total = disk.usage()
    assert used * 100 < total * limits.DISK_LOGS_PERCENT
    assert isinstance(put(host, grows=True), Committed)


def test_what_is_new_is_refused_while_there_is_little_room(host: SimHost, disk: Disk) -> None:
    disk.others = TOTAL * limits.DISK_PERCENT // 100
    host.run_for(10.0)
    assert logs(disk) == [], "none of them is worth a full disk"
    with pytest.raises(ReadOnly, match="95 % of the disk's space or more is in use"):
        put(host, grows=True)
    assert isinstance(put(host, grows=False), Committed), "what runs may end"
    disk.others -= 1
    host.run_for(3.0)
    assert isinstance(put(host, grows=True), Committed)
