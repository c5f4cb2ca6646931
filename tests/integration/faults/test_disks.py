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
        assert node.call("GET", "/status")["read_only"]
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
