"""A disk that is full, and one that fails: what the node says, does, and still has afterwards."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faults.stream import Stream
from tests.integration.node_process import NodeProcess, Refused, running, until
from tests.parts import need

_MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 48 MiB."""
    need("root", os.geteuid() == 0, "only root mounts a file system")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        until(lambda: subprocess.run(["umount", place], check=False).returncode == 0)


def fill(place: Path) -> Path:
    """Take all the room that is left."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (_MIB, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def fill_to(place: Path, percent: int) -> Path:
    """Have this much of the file system in use."""
    found = os.statvfs(place)
    taken = found.f_blocks * percent // 100 - (found.f_blocks - found.f_bfree)
    assert taken > 0, f"{percent} % are in use already"
    filler = place / f"filler-{percent}"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, taken * found.f_frsize)
    return filler


def test_the_oldest_logs_go_before_the_disk_is_full(small_disk: Path) -> None:
    script = "head -c 1500000 /dev/zero | tr '\\0' '\\n'"
    with running(small_disk / "data", "--slots", "2") as node:
        jobs = [node.submit(shell=script) for _ in range(8)]
        for job_id in jobs:
            node.ended(job_id)
        fill_to(small_disk, 80)
        time.sleep(3)
        assert all(node.call("GET", f"/jobs/{job_id}/logs?limit=1")["items"] for job_id in jobs)
        fill_to(small_disk, 90)
        until(lambda: not node.call("GET", f"/jobs/{jobs[1]}/logs?limit=1")["items"])
        time.sleep(3)  # another look finds enough room
        assert node.call("GET", f"/jobs/{jobs[-1]}/logs?limit=1")["items"], "the newest stay"
        assert node.job(jobs[0])["state"] == "succeeded", "only its log went"
        node.ended(node.submit(cmd="true"))


def test_a_nearly_full_disk_takes_nothing_new_and_lets_what_runs_end(small_disk: Path) -> None:
    with running(small_disk / "data", "--slots", "1") as node:
        runs = node.submit(shell="until test -e go; do sleep 0.1; done", cwd=str(small_disk))
        waits = node.submit(cmd="true")
        until(lambda: node.job(runs)["state"] == "running")
        filler = fill_to(small_disk, 96)
        until(lambda: node.call("GET", "/status")["read_only"])
        with pytest.raises(Refused) as caught:
            node.submit(cmd="true")
        assert (caught.value.status, caught.value.body["title"]) == (503, "Read-only")
        assert "95 % of the disk's space" in caught.value.body["detail"]
        (small_disk / "go").touch()
        assert node.ended(runs)["state"] == "succeeded"
        time.sleep(1.5)
        assert node.job(waits)["state"] == "pending", "no attempt starts that may write"
        node.call("POST", f"/jobs/{waits}/cancel", {})
        assert node.ended(waits)["state"] == "cancelled", "what frees room is taken"
        filler.unlink()
        until(lambda: not node.call("GET", "/status")["read_only"])
        assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"


def test_a_full_disk_is_told_nothing_is_lost_and_the_node_resumes(small_disk: Path) -> None:
    with running(small_disk / "data", "--slots", "2") as node:
        held = {"cmd": "true", "trigger": {"delay": "1h"}, "input": "x" * 40_000}
        stream = Stream(node, held)
        filler = fill(small_disk)
        stream.start()
        until(lambda: stream.refusals, 40)
        refusal = stream.refusals[0]
        assert (refusal["status"], refusal["type"]) == (503, "urn:jobd:problem:read_only")
        assert "space" in refusal["detail"], refusal
        until(lambda: node.call("GET", "/status")["read_only"])
        (accepted,) = {len(made) for made in stream.accepted.values()}
        assert accepted == 1
        some_job = next(iter(next(iter(stream.accepted.values()))))
        assert node.job(some_job)["state"] == "scheduled"  # what is there can be read
        filler.unlink()
        before = len(stream.accepted)
        until(lambda: len(stream.accepted) > before)
        stream.stop()
        assert not node.call("GET", "/status")["read_only"]
        assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"
        node.kill()
        node.start()
        for (job_id,) in stream.accepted.values():
            assert node.job(job_id)["state"] == "scheduled"


@pytest.mark.parametrize("directory", ["log", "events"])
def test_a_failed_sync_ends_the_node_with_its_reason_and_nothing_is_lost(
    tmp_path: Path, directory: str
) -> None:
    trigger = tmp_path / "fail"
    node = NodeProcess(tmp_path / "data")
    node.program = ("-m", "tests.integration.faults.failing_disk", str(trigger))
    try:
        node.start()
        accepted = [node.submit(cmd="true") for _ in range(5)]
        (tmp_path / "fail.new").write_text(directory)
        (tmp_path / "fail.new").rename(trigger)
        with pytest.raises((Refused, OSError)):
            while True:
                accepted.append(node.submit(cmd="true"))
                time.sleep(0.05)
        assert node.exit_code() == 74
        assert "fdatasync" in node.log() and "Check the disk" in node.log()
        node.start()
        for job_id in accepted:
            job = node.ended(job_id)
            assert (job["state"], job["attempt"]) == ("succeeded", 1)
    finally:
        node.end()
