"""The log on a disk that is full, fails, is killed under it, or flips bits."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.backends.disk import Disk
from actors.backends.segment_log import SegmentLog
from actors.core.log_format import decode_header, decode_slot, group_bytes
from actors.core.ports import LogEntry
from actors.errors import Corrupt, DataDirectory, ReadOnly, StorageFailed
from tests.integration.storage.faults import FaultyDisk

SEGMENT = 64 * 1024
FLIPS = int(os.environ.get("JOBD_FLIPS", "2500"))  # the campaign of a release: 10,000


def entries(first: int, count: int, size: int = 40) -> list[LogEntry]:
    return [LogEntry(i, i % 5, b"%d:" % i * (size // 4 + 1)) for i in range(first, first + count)]


def everything(log: SegmentLog) -> list[LogEntry]:
    return list(log.replay(log.first_index - 1))


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def log(tmp_path: Path, disk: FaultyDisk) -> Iterator[SegmentLog]:
    opened = SegmentLog.open(tmp_path / "log", SEGMENT, disk)
    yield opened
    opened.close()


# -- faults of writing


@pytest.mark.parametrize("room", [0, 1, 31, 100, 700])
def test_a_full_disk_leaves_nothing_behind_and_the_next_append_succeeds(
    room: int, log: SegmentLog, disk: FaultyDisk, tmp_path: Path
) -> None:
    log.append(entries(1, 3))
    disk.room = room
    with pytest.raises(ReadOnly):
        log.append(entries(4, 20))
    assert everything(log) == entries(1, 3)
    copy = shutil.copytree(tmp_path / "log", tmp_path / "copy")
    after_crash = SegmentLog.open(copy, SEGMENT)
    assert everything(after_crash) == entries(1, 3)  # not even a crash now brings it back
    after_crash.close()
    disk.heal()
    log.append(entries(4, 2))
    assert everything(log) == entries(1, 5)


def test_a_full_disk_that_refuses_even_the_undoing_stops_the_log(
    log: SegmentLog, disk: FaultyDisk
) -> None:
    log.append(entries(1, 3))
    disk.at("write", 1, errno.ENOSPC)
    with pytest.raises(StorageFailed):
        log.append(entries(4, 20))
    disk.heal()
    with pytest.raises(StorageFailed):
        log.append(entries(4, 20))


@pytest.mark.parametrize("operation", ["create", "rename"])
def test_no_room_for_a_new_segment_is_read_only_until_there_is(
    operation: str, log: SegmentLog, disk: FaultyDisk, tmp_path: Path
) -> None:
    disk.at(operation, 0, errno.ENOSPC)
    done = 0
    with pytest.raises(ReadOnly):
        for done in range(0, 10_000, 10):
            log.append(entries(done + 1, 10))
    for _ in range(3):
        with pytest.raises(ReadOnly):
            log.append(entries(done + 1, 10))
    assert log.last_index == done == len(everything(log))
    disk.heal()
    log.append(entries(done + 1, 10))
    assert everything(log) == entries(1, done + 10)
    assert not list((tmp_path / "log").glob("*.tmp"))


@pytest.mark.parametrize(
    ("operation", "error"),
    [("write", errno.EIO), ("sync", errno.EIO), ("sync", errno.ENOSPC)],
)
def test_after_a_failed_write_or_sync_the_log_refuses_further_use(
    operation: str, error: int, log: SegmentLog, disk: FaultyDisk, tmp_path: Path
) -> None:
    log.append(entries(1, 3))
    disk.at(operation, 0, error)
    with pytest.raises(StorageFailed):
        log.append(entries(4, 1))
    disk.heal()
    with pytest.raises(StorageFailed):
        log.append(entries(4, 1))
    assert log.last_index == 3
    again = SegmentLog.open(tmp_path / "log", SEGMENT)
    assert everything(again)[:3] == entries(1, 3)
    again.close()


def test_a_real_full_file_system(tmp_path: Path) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(mount)], capture_output=True
    )
    if done.returncode:
        reason = f"can't mount a tmpfs: {done.stderr.decode().strip()}"
        if "root" in os.environ.get("JOBD_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        log, last = SegmentLog.open(mount / "log", 256 * 1024), 0
        with pytest.raises(ReadOnly):
            for last in range(0, 100_000, 50):
                log.append(entries(last + 1, 50, 400))
        log.truncate_before(last)  # room again
        log.append(entries(last + 1, 50, 400))
        log.close()
        log = SegmentLog.open(mount / "log", 256 * 1024)
        assert log.last_index == last + 50
        assert everything(log)[-50:] == entries(last + 1, 50, 400)
        log.close()
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


# -- death


_CHILD = """
import sys
from pathlib import Path
from actors.backends.segment_log import SegmentLog
from tests.integration.storage.test_log_faults import entries
log = SegmentLog.open(Path(sys.argv[1]), 64 * 1024)
print(log.last_index, flush=True)
while True:
    first = log.last_index + 1
    log.append(entries(first, first % 9 + 1, first % 700))
    print(log.last_index, flush=True)
"""


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path, rng = tmp_path / "log", random.Random(7)
    for _ in range(10):
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0.005, 0.15))
        child.send_signal(signal.SIGKILL)
        acked = [int(line) for line in child.stdout.read().split()]
        child.stdout.close()
        child.wait()
        log = SegmentLog.open(path, SEGMENT)
        assert log.last_index >= max(acked, default=0)
        for found in everything(log):
            text = b"%d:" % found.index
            assert found.payload == text * (len(found.payload) // len(text))
            assert found.kind == found.index % 5
        assert [e.index for e in everything(log)] == list(range(1, log.last_index + 1))
        log.close()


# -- bit flips


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a few segments, its last one partly filled."""
    path = tmp_path_factory.mktemp("flips") / "log"
    log, rng = SegmentLog.open(path, 32 * 1024), random.Random(1)
    while len(log.segments) < 4 or log.last_index % 13:
        log.append(entries(log.last_index + 1, rng.randint(1, 6), rng.randint(0, 600)))
    log.append(entries(log.last_index + 1, 4, 300))
    log.close()
    return path


def test_every_bit_flip_is_detected_repaired_or_harmless(written: Path, tmp_path: Path) -> None:
    original = SegmentLog.open(written, 32 * 1024)
    expected = everything(original)
    original.close()
    files = sorted(written.glob("*.seg"))
    images = {file.name: file.read_bytes() for file in files}
    rng, outcomes = random.Random(20_26), {"refused": 0, "whole": 0}
    work = tmp_path / "log"
    shutil.copytree(written, work)
    for _ in range(FLIPS):
        name = rng.choice(list(images))
        image = bytearray(images[name])
        used = len(images[name].rstrip(b"\0"))
        at = rng.randrange(used if rng.random() < 0.8 else len(image))  # mostly not in padding
        image[at] ^= 1 << rng.randrange(8)
        (work / name).write_bytes(image)
        outcomes[_open_and_compare(work, expected)] += 1
        (work / name).write_bytes(images[name])
    assert outcomes["refused"] > FLIPS // 10
    assert outcomes["whole"] > FLIPS // 10


def _open_and_compare(path: Path, expected: list[LogEntry]) -> str:
    """Return `whole` when every entry came back, `refused` when that was said; else fail."""
    try:
        log = SegmentLog.open(path, 32 * 1024)
    except (Corrupt, DataDirectory):
        return "refused"
    try:
        found = everything(log)
    except Corrupt:
        return "refused"
    finally:
        log.close()
    assert found == expected
    return "whole"


@pytest.mark.parametrize("group", [1, 6])
def test_any_flip_in_the_last_acknowledged_group_is_repaired(group: int, tmp_path: Path) -> None:
    log = SegmentLog.open(tmp_path / "log", 32 * 1024)
    log.append(entries(1, 3))
    log.append(entries(4, group, 60))
    log.close()
    file = next((tmp_path / "log").glob("*.seg"))
    image = file.read_bytes()
    end = len(image.rstrip(b"\0"))
    for at in range(end - group_bytes(entries(4, group, 60)), end):
        file.write_bytes(image[:at] + bytes([image[at] ^ 0x10]) + image[at + 1 :])
        log = SegmentLog.open(tmp_path / "log", 32 * 1024)
        assert everything(log) == [*entries(1, 3), *entries(4, group, 60)]
        log.close()
        assert file.read_bytes() == image  # mended on disk too


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_or_renamed_segment_is_refused(lost: int, tmp_path: Path, written: Path) -> None:
    files = sorted(shutil.copytree(written, tmp_path / "log").glob("*.seg"))
    before = files[lost].read_bytes()
    files[lost].unlink()
    log = SegmentLog.open(tmp_path / "log", 32 * 1024)
    with pytest.raises(Corrupt):
        list(log.replay(0))
    log.close()
    files[lost].write_bytes(before)
    files[lost].rename(tmp_path / "log" / f"{int(files[lost].stem) + 1:020d}.seg")
    with pytest.raises(Corrupt, match="S2"):
        SegmentLog.open(tmp_path / "log", 32 * 1024)


def test_the_last_two_groups_stand_in_the_mirror(tmp_path: Path) -> None:
    log = SegmentLog.open(tmp_path / "log", SEGMENT)
    for reopened in (False, True):
        for first in (log.last_index + 1, log.last_index + 3, log.last_index + 5):
            log.append(entries(first, 2))
        if reopened:
            log.close()
            log = SegmentLog.open(tmp_path / "log", SEGMENT)
        image = next((tmp_path / "log").glob("*.seg")).read_bytes()
        header, _ = decode_header(image)
        assert header is not None
        slots = [decode_slot(image, header, slot) for slot in (0, 1)]
        assert {s.last for s in slots if s} == {log.last_index, log.last_index - 2}
    log.close()


def test_a_recovery_is_durable_before_the_log_is_used(tmp_path: Path, disk: FaultyDisk) -> None:
    log = SegmentLog.open(tmp_path / "log", SEGMENT)
    log.append(entries(1, 2))
    log.close()
    file = next((tmp_path / "log").glob("*.seg"))
    image = bytearray(file.read_bytes())
    image[-1] ^= 1
    file.write_bytes(image)
    disk.at("sync", 0, errno.EIO)
    with pytest.raises(StorageFailed):
        SegmentLog.open(tmp_path / "log", SEGMENT, disk)


def test_the_next_segment_is_ready_before_it_is_needed(tmp_path: Path) -> None:
    made: list[str] = []

    class Watched(Disk):
        def create(self, path: Path, size: int):  # type: ignore[no-untyped-def]
            made.append(threading.current_thread().name)
            return super().create(path, size)

    log = SegmentLog.open(tmp_path / "log", SEGMENT, Watched())
    while len(log.segments) < 5:
        log.append(entries(log.last_index + 1, 5, 400))
    assert made[1:5] == ["log-spare"] * 4
    assert everything(log) == [e for i in range(1, log.last_index, 5) for e in entries(i, 5, 400)]
    log.close()
