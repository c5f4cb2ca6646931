"""Node and job supervisor die at any moment; jobs are found, never doubled, never forgotten."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from actors.backends.job_supervisor.endpoint import connect
from actors.core.supervisor_protocol import (
    VERSION,
    Ack,
    FrameReader,
    Hello,
    Launch,
    Output,
    Refused,
    Start,
    SupervisorFrame,
    encode_frame,
)
from actors.errors import Conflict
from tests.integration.supervisor.node import (
    Node,
    attempt,
    is_alive,
    run,
    shell,
    spooled,
    text_of,
)
from tests.integration.supervisor.test_trees import daemon, need_cgroup

NODE = """
import asyncio, sys
from pathlib import Path
from tests.integration.supervisor.node import Node, shell
async def main():
    node = await Node(Path(sys.argv[1])).connect()
    for name in "abc":
        await node.start(shell("for i in $(seq 40); do echo $i; sleep 0.02; done; exit 6"), name)
    print(node.welcome.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_kill_nine_the_node_and_reattach(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", NODE, tmp_path], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        supervisor = int(first.stdout.readline())
        first.kill()

    async def again(node: Node) -> None:
        assert node.welcome.pid == supervisor
        held = await node.held()
        assert {h.state for h in held.values()} == {"running"}
        for name in "abc":
            end = await node.ended(name)
            assert (end.reason, end.code) == ("exit", 6)
            assert text_of(tmp_path, name).split() == [b"%d" % i for i in range(1, 41)]

    async def play() -> None:
        node = await Node(tmp_path, incarnation=2).connect()
        try:
            await again(node)
        finally:
            await node.end()

    asyncio.run(play())


def test_an_end_while_no_node_runs_is_held(tmp_path: Path) -> None:
    async def play() -> None:
        node = await Node(tmp_path).connect()
        await node.start(shell("echo x; sleep 0.2; exit 5"))
        await node.start(shell("sleep 60", timeout_ms=100), "t")
        await node.client.close()
        await asyncio.sleep(0.6)
        node = await Node(tmp_path, 2).connect()
        try:
            held = await node.held()
            ends = [held[attempt(name)].exit for name in "jt"]
            assert [end and end.reason for end in ends] == ["exit", "timeout"]
            assert ends[0] is not None
            assert ends[0].code == 5
            assert text_of(tmp_path) == b"x\n"
        finally:
            await node.end()

    asyncio.run(play())


@pytest.mark.parametrize("memory_bytes", [0, 512 << 20])
def test_kill_nine_the_supervisor(tmp_path: Path, memory_bytes: int) -> None:
    """Its jobs are ended, daemons too, and reported lost; an exit that was recorded stands."""

    async def play() -> None:
        node = await Node(tmp_path).connect()
        if memory_bytes:
            need_cgroup(node)
        await node.run(shell("echo kept; exit 7"), "done")
        pid = await node.start(daemon("scrub", "stay", memory_bytes=memory_bytes))
        scrubbed = await node.start(Launch(argv=("env", "-i", "/bin/sleep", "60")), "bare")
        await node.until(lambda: node.of(Output, "j"))
        os.kill(node.welcome.pid, signal.SIGKILL)
        await node.until(lambda: node.lost)
        old = node.welcome
        assert is_alive(pid)
        chunk = (tmp_path / "spool" / spooled("j") / "000000000000.chunk").read_bytes()
        escaped = int(chunk.rpartition(b"\0")[2])
        node = await Node(tmp_path, 2).connect()
        try:
            assert node.welcome.instance != old.instance
            for ended in (pid, escaped, scrubbed):
                assert not is_alive(ended)
            held = await node.held()
            kept, lost = held[attempt("done")].exit, held[attempt("j")].exit
            assert kept is not None
            assert (kept.reason, kept.code) == ("exit", 7)
            assert lost is not None
            assert (lost.reason, lost.log_seq) == ("lost", 1)
            assert "supervisor died" in lost.detail
            assert held[attempt("j")].fence == 1
            assert text_of(tmp_path) == f"{escaped}\n".encode()
            for name in ("done", "j", "bare"):
                node.client.send(Ack(attempt(name)))
            assert await node.held() == {}
        finally:
            await node.end()

    asyncio.run(play())


def test_one_supervisor_per_directory(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 60"))
        command = [sys.executable, "-m", "actors.backends.job_supervisor", "--data", str(tmp_path)]
        assert subprocess.run(command, check=False, timeout=20).returncode == 0
        await asyncio.sleep(0.5)
        assert (await node.held())[attempt("j")].state == "running"
        assert not node.lost
        others = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
        assert others.stdout.split() == []  # the second one did not stay

    run(scenario, tmp_path)


def test_an_older_node_process_is_refused(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 60"))
        newer = await Node(tmp_path, incarnation=2).connect()
        assert newer.welcome.instance == node.welcome.instance
        await node.until(lambda: node.lost)
        assert any(isinstance(frame, Refused) for frame in node.frames)
        with pytest.raises(Conflict, match="incarnation 2"):
            await Node(tmp_path, incarnation=1).connect()
        assert list(await newer.held()) == [attempt("j")]
        await newer.client.close()

    run(scenario, tmp_path)


def _say(data: Path, raw: bytes) -> list[SupervisorFrame]:
    """Send bytes on a connection of their own; return what came until it was closed."""
    connection = connect(data)
    connection.settimeout(5)
    reader = FrameReader(SupervisorFrame)
    frames: list[SupervisorFrame] = []
    with connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            frames += reader.feed(part)
    return frames


HOSTILE = {
    "too long": struct.pack(">I", 1 << 31) + b"x",
    "no msgpack": struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1",
    "no message": struct.pack(">I", 1) + b"\x01",
    "deep": struct.pack(">I", 100_000) + b"\x91" * 100_000,
    "cut off": struct.pack(">I", 100) + b"\x93",
    "of the other side": encode_frame(Refused("me?")),
    "start without hello": encode_frame(Start(attempt("x"), 1, shell("touch $HOME/hostile"))),
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_harm_nobody(tmp_path: Path, name: str) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 0.3; exit 4"))
        answers = await asyncio.to_thread(_say, tmp_path, HOSTILE[name])
        assert all(isinstance(answer, Refused) for answer in answers)
        assert (await node.ended()).code == 4
        assert list(await node.held()) == [attempt("j")]
        assert not node.lost

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    "key", ["attempt/../../etc/0/1", "attempt/a/0", "x", "attempt/a/0/1\0", "attempt/..\n/0/1", ""]
)
def test_a_key_never_becomes_a_foreign_path(tmp_path: Path, key: str) -> None:
    async def scenario(node: Node) -> None:
        node.client.send(Start(key, 1, shell("true")))
        await node.until(lambda: node.lost)
        assert {path.name for path in tmp_path.iterdir()} == {"run", "spool"}
        assert list((tmp_path / "spool").glob("[!.]*")) == []

    run(scenario, tmp_path)


def test_many_idle_connections_keep_nobody_out_for_long(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        crowd = [connect(tmp_path) for _ in range(40)]
        await asyncio.sleep(0.1)
        assert (await node.run(shell("exit 2"))).code == 2
        for connection in crowd:
            connection.close()
        await asyncio.sleep(0.1)
        hello = encode_frame(Hello(VERSION, "n2", 9))
        answers = await asyncio.to_thread(_say, tmp_path, hello)
        assert [type(answer) for answer in answers] == [Refused]
        assert not node.lost

    run(scenario, tmp_path)


def test_a_long_directory_has_a_socket_too(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        assert (await node.run(shell("exit 3"))).code == 3

    run(scenario, tmp_path / ("d" * 120))


def test_signals_of_the_nodes_group_pass_by(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        pid = node.welcome.pid
        assert os.getsid(pid) == pid
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        assert (await node.run(shell("exit 3"))).code == 3

    run(scenario, tmp_path)


def test_it_starts_small_and_imports_little(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        pid = node.welcome.pid
        status = Path(f"/proc/{pid}/status").read_text()
        rss_kib = int(status.partition("VmRSS:")[2].split()[0])
        assert rss_kib < 24 * 1024
        assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"jobd: job supervisor")
        assert "/asyncio" not in Path(f"/proc/{pid}/maps").read_text()

    run(scenario, tmp_path)
    code = (
        "import sys, actors.backends.job_supervisor.__main__;"
        "print(*sorted({'asyncio','aiohttp','zmq','pykka','subprocess','threading'}"
        " & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-Ic", code], capture_output=True, check=True)
    assert set(done.stdout.split()) <= {b"threading"}
