"""When a job supervisor ends, and what a full disk does to the jobs that it holds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.backends.job_supervisor.endpoint import run_directory
from actors.core.log_record import SUPERVISOR
from actors.core.supervisor_protocol import Ack, Output, Start
from tests.integration.supervisor.node import (
    WAIT_S,
    Node,
    attempt,
    is_alive,
    records_of,
    run,
    shell,
    spooled,
)
from tests.parts import need

SERVE = """
import sys
from pathlib import Path
from actors.backends.job_supervisor.__main__ import serve
serve(Path(sys.argv[1]), linger_s=0.3)
"""


def test_it_ends_when_it_holds_nothing_and_nobody_comes(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)])
    socket = run_directory(tmp_path) / "jobs.sock"
    until = time.monotonic() + WAIT_S
    while not socket.exists():
        assert time.monotonic() < until
        time.sleep(0.01)

    async def scenario() -> None:
        node = await Node(tmp_path).connect()
        assert node.welcome.pid == process.pid
        await node.start(shell("sleep 0.2; echo done"))
        await node.client.close()
        await asyncio.sleep(0.8)
        assert process.poll() is None  # an exit that nobody took is held
        node = await Node(tmp_path, 2).connect()
        assert (await node.held())[attempt("j")].state == "exited"
        node.client.send(Ack(attempt("j")))
        assert await node.held() == {}
        await asyncio.sleep(0.5)
        assert process.poll() is None  # a node is there
        await node.client.close()

    asyncio.run(scenario())
    assert process.wait(WAIT_S) == 0
    assert not socket.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data directory of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    need("root", mounted, "only root mounts a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Leave no block of it free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def test_a_full_disk_ends_no_job_and_no_supervisor(small_disk: Path) -> None:
    go = small_disk.parent / "go"
    writer = f"until [ -e {go} ]; do printf '%04000d\\n' 0; sleep 0.01; done; echo after; exit 5"

    async def scenario(node: Node) -> None:
        await node.start(shell(writer, cwd="/"))
        await node.until(lambda: node.of(Output, "j"))
        held = await node.start(shell("sleep 0.3; exit 6", cwd="/"), "k")
        ballast = fill(small_disk)
        assert (await node.ended("k")).code == 6  # told, though it is not on disk
        assert not (small_disk / "spool" / spooled("k") / "exit").exists()
        refused = await node.run(shell("true"), "r")
        assert (refused.reason, "make room" in refused.detail) == ("spawn", True)
        assert is_alive(node.welcome.pid)
        assert not is_alive(held)
        ballast.unlink()
        await asyncio.sleep(0.2)  # `j` writes into the room that there is again
        go.touch()
        end = await node.ended()
        assert end.code == 5
        assert end.log_dropped_bytes > 0
        records = records_of(small_disk)
        assert b"".join(r.data for r in records).endswith(b"0\nafter\n")
        told = [r.data.split() for r in records if r.stream == SUPERVISOR]
        assert sum(int(words[1]) for words in told) == end.log_dropped_bytes
        assert all(b" ".join(words).endswith(b"No space left on device") for words in told)
        late = small_disk / "spool" / spooled("k") / "exit"
        while not late.exists():
            await asyncio.sleep(0.05)
        for name in "jkr":
            node.client.send(Ack(attempt(name)))
        assert await node.held() == {}
        assert (await node.run(shell("exit 7"), "s")).code == 7

    run(scenario, small_disk)


def test_an_exit_that_never_fit_is_told_to_the_next_node(small_disk: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 0.3; exit 6", cwd="/"))
        fill(small_disk)
        await node.client.close()
        await asyncio.sleep(0.6)
        again = await Node(small_disk, 2).connect()
        assert again.welcome.pid == node.welcome.pid
        again.client.send(Start(attempt("j"), 1, shell("exit 9")))
        assert (await again.ended()).code == 6
        await again.client.close()

    run(scenario, small_disk)
