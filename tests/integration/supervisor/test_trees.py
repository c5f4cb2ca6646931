"""Nothing that a job began outlives it: daemons, escapees, memory hogs, holders of its pipes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from actors.backends.job_supervisor.process_tree import descendants_of
from actors.core.supervisor_protocol import Kill, Launch, Output
from tests.integration.supervisor.node import (
    Node,
    attempt,
    is_alive,
    run,
    shell,
    spooled,
    text_of,
    wait_gone,
)
from tests.parts import need

# Prints the pid of a daemon in a session of its own that holds the pipes. It may `scrub` its
# environment and files, and `shed` the mark that every process of a job carries.
DAEMON = """
import os, resource, sys, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(w, str(os.getpid()).encode())
        if "shed" in sys.argv:
            resource.setrlimit(resource.RLIMIT_RTTIME, (-1, -1))
        if "scrub" in sys.argv:
            os.chdir("/")
            null = os.open("/dev/null", os.O_RDWR)
            for fd in 0, 1, 2:
                os.dup2(null, fd)
            os.execve("/bin/sleep", ["sleep", "60"], {})
        time.sleep(60)
    os._exit(0)
print(os.read(r, 20).decode(), flush=True)
if "stay" in sys.argv:
    time.sleep(60)
"""


def daemon(*how: str, memory_bytes: int = 0) -> Launch:
    return Launch(argv=(sys.executable, "-c", DAEMON, *how), memory_bytes=memory_bytes)


def daemon_of_running(data: Path) -> int:
    """Return the pid that a running daemon() told."""
    chunk = (data / "spool" / spooled("j") / "000000000000.chunk").read_bytes()
    return int(chunk.rpartition(b"\0")[2])


def need_cgroup(node: Node) -> None:
    need("cgroup", node.welcome.cgroup != "none", "no cgroup is writable here")


def test_a_daemon_dies_with_its_job(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        end = await node.run(daemon())
        assert (end.reason, end.code) == ("exit", 0)
        assert end.ended_ms - end.started_ms < 5000  # its hold on the pipes delays nothing
        assert not is_alive(int(text_of(tmp_path)))

    run(scenario, tmp_path)


def test_a_daemon_in_a_cgroup_dies_with_its_job(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        need_cgroup(node)
        end = await node.run(daemon("scrub", memory_bytes=256 << 20))
        assert end.code == 0
        assert not is_alive(int(text_of(tmp_path)))

    run(scenario, tmp_path)


def test_a_daemon_that_leaves_everything_dies_with_its_job(tmp_path: Path) -> None:
    """Double fork, own session, empty environment, closed files, while other jobs run."""

    async def scenario(node: Node) -> None:
        others = [await node.start(shell("sleep 60"), f"other{i}") for i in range(3)]
        assert (await node.run(daemon("scrub"))).code == 0
        assert not is_alive(int(text_of(tmp_path)))
        await asyncio.sleep(0.05)
        assert all(map(is_alive, others))

    run(scenario, tmp_path)


def test_such_a_daemon_of_a_running_job_is_left_alone(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(daemon("scrub", "stay"))
        await node.until(lambda: node.of(Output, "j"))
        assert (await node.run(daemon("scrub"), "other")).code == 0
        escaped = daemon_of_running(tmp_path)
        assert is_alive(escaped)
        node.client.send(Kill(attempt("j"), "cancelled", 0))
        await node.ended()
        assert not is_alive(escaped)

    run(scenario, tmp_path)


def test_a_daemon_without_a_mark_goes_with_the_last_suspect(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 60"), "other")
        end = await node.run(daemon("scrub", "shed"))
        assert end.code == 0
        escaped = int(text_of(tmp_path))
        assert is_alive(escaped)  # it might be the other's
        node.client.send(Kill(attempt("other"), "cancelled", 0))
        await node.ended("other")
        wait_gone(escaped)

    run(scenario, tmp_path)


def test_a_kill_takes_daemons_and_groups(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(daemon("stay"))
        await node.until(lambda: node.of(Output, "j"))
        node.client.send(Kill(attempt("j"), "cancelled", 0))
        await node.ended()
        assert not is_alive(int(text_of(tmp_path)))

    run(scenario, tmp_path)


def test_a_running_jobs_daemon_is_left_alone(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(daemon("stay"))
        await node.until(lambda: node.of(Output, "j"))
        await node.run(shell("true"), "other")
        await asyncio.sleep(1.2)  # past a round of looking for daemons
        assert is_alive(daemon_of_running(tmp_path))

    run(scenario, tmp_path)


def test_a_fork_bomb_stays_within_nproc(tmp_path: Path) -> None:
    """Without a cgroup; root is above this limit, so it is another user's."""
    need("root", os.geteuid() == 0, "only root becomes another user")
    bomb = "grow() { grow & exec sleep 60; }; grow"
    for directory in (tmp_path, *tmp_path.parents):
        directory.chmod(directory.stat().st_mode | 0o001)

    async def scenario(node: Node) -> None:
        await node.start(shell(bomb, user="nobody", nproc=24))
        await asyncio.sleep(0.3)
        assert 10 < len(descendants_of(node.welcome.pid)) <= 24
        node.client.send(Kill(attempt("j"), "cancelled", 0))
        await node.ended()
        assert not any(map(is_alive, descendants_of(node.welcome.pid)))

    run(scenario, tmp_path)


def test_out_of_memory_is_told_from_a_kill(tmp_path: Path) -> None:
    hog = (sys.executable, "-c", "b = bytearray(400 << 20)")

    async def scenario(node: Node) -> None:
        need_cgroup(node)
        end = await node.run(Launch(argv=hog, memory_bytes=48 << 20))
        assert (end.reason, end.signal) == ("oom", 9)
        assert str(48 << 20) in end.detail
        below = Launch(argv=("/bin/sh", "-c", f"{hog[0]} -c '{hog[2]}'; exit 1"))
        end = await node.run(
            Launch(argv=below.argv, memory_bytes=48 << 20), "below"
        )  # a child died of it, the leader said so
        assert end.reason == "oom"
        end = await node.run(shell("kill -9 $$", memory_bytes=48 << 20), "self")
        assert (end.reason, end.signal) == ("signal", 9)
        for name in ("j", "below", "self"):
            assert not list(Path("/sys/fs/cgroup").rglob(f"jobd/{spooled(name)}"))

    run(scenario, tmp_path)


def test_cpu_is_bounded(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        need_cgroup(node)
        spin = "import time\nt=time.monotonic()\nwhile time.monotonic()-t<1: pass"
        end = await node.run(Launch(argv=(sys.executable, "-c", spin), cpu_milli=200))
        assert end.code == 0
        assert end.cpu_ms < 600, end

    run(scenario, tmp_path)


def test_a_stranger_that_holds_the_pipe_delays_nothing(tmp_path: Path) -> None:
    """The job hands its stdout to a process outside its tree, which goes on writing to it."""
    here = tmp_path / "s"
    handover = (
        "import array, os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "socket.send_fds(s, [b'x'], [1]); s.recv(1); print('done', flush=True)\n"
    )

    async def scenario(node: Node) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(here))
            listener.listen()
            await node.start(Launch(argv=(sys.executable, "-c", handover, str(here))))
            connection, _ = await asyncio.to_thread(listener.accept)
            with connection:
                _, fds, _, _ = await asyncio.to_thread(socket.recv_fds, connection, 1, 1)
                connection.send(b"y")
                end = await node.ended()
                assert end.code == 0
                os.close(fds[0])
        assert text_of(tmp_path) == b"done\n"

    run(scenario, tmp_path)
