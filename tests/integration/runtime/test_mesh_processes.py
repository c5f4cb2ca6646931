"""Nodes as processes of their own: killed, stopped, and behind networks that fail."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.backends.connection_user import user_at
from tests.cluster.namespaces import Namespaces, namespaces
from tests.integration.runtime.mesh_node import SILENCE_S

ROOT = Path(__file__).parents[3]
Lines = list[list[str]]
_NUMBERS = itertools.count()


class Process:
    """A node of a mesh; `lines` is what it has said of its links."""

    def __init__(self, folder: Path, name: str, prefix: tuple[str, ...] = ()) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._prefix = prefix
        self._incarnation = 0
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, address: str, *peers: str) -> str:
        """Start it, as a new incarnation; return where it listens."""
        self._incarnation += 1
        module = [sys.executable, "-m", "tests.integration.runtime.mesh_node"]
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                [*self._prefix, *module, self.name, str(self._incarnation), address, *peers],
                stdout=log,
                cwd=ROOT,
            )
        found: str = until(lambda: self._text[0][0], lambda: bool(self._text))
        return found

    @property
    def _text(self) -> Lines:
        return [line.split() for line in self._log.read_text().splitlines()]

    @property
    def lines(self) -> Lines:
        return self._text[1:]

    def send(self, number: int) -> None:
        assert self._running is not None
        self._running.send_signal(number)

    def end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def says(self, *words: str, since: int = 0, within_s: float = 15) -> float:
        """Wait for a line that begins with these words; return how long it took."""
        began = time.monotonic()
        until(
            lambda: 0,
            lambda: any(line[: len(words)] == list(words) for line in self.lines[since:]),
            within_s,
            lambda: f"{self.name} does not say {words}: {self.lines}",
        )
        return time.monotonic() - began


def until(
    value: Callable[[], Any],
    condition: Callable[[], bool],
    within_s: float = 15,
    why: Callable[[], str] = lambda: "not in time",
) -> Any:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)
    return value()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """Two linked nodes on loopback, of which only the second dials."""
    a, b = Process(tmp_path, "a"), Process(tmp_path, "b")
    try:
        at = a.start("127.0.0.1:*")
        b.start("127.0.0.1:*", f"a@{at}")
        a.says("up", "b")
        b.says("up", "a")
        yield a, b
    finally:
        a.end()
        b.end()


def test_a_killed_node_is_lost_at_once_and_found_when_it_is_back(
    pair: tuple[Process, Process], tmp_path: Path
) -> None:
    a, b = pair
    b.send(signal.SIGKILL)
    assert a.says("down", "b") < SILENCE_S  # it is not waited for
    b.end()
    seen = len(a.lines)
    b.start("127.0.0.1:*", f"a@{a._text[0][0]}")
    a.says("up", "b", since=seen)
    b.says("up", "a")


def test_who_is_stopped_shortly_stays_linked(pair: tuple[Process, Process]) -> None:
    a, b = pair
    b.send(signal.SIGSTOP)
    time.sleep(SILENCE_S / 2)
    b.send(signal.SIGCONT)
    time.sleep(SILENCE_S)
    assert a.lines == [["up", "b"]]
    assert b.lines == [["up", "a"]]


@pytest.mark.parametrize("stopped", ["who dials", "who is dialled"])
def test_who_was_stopped_for_long_accuses_nobody_and_is_linked_again(
    pair: tuple[Process, Process], stopped: str
) -> None:
    a, b = pair
    frozen, other = (b, a) if stopped == "who dials" else (a, b)
    frozen.send(signal.SIGSTOP)
    assert SILENCE_S - 1 < other.says("down", frozen.name, "silent") < 2 * SILENCE_S + 2
    time.sleep(1)
    seen = len(frozen.lines)
    frozen.send(signal.SIGCONT)
    other.says("up", frozen.name, since=2)
    until(lambda: 0, lambda: frozen.lines[-1] == ["up", other.name])
    assert not any("silent" in line for line in frozen.lines[seen:])


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[tuple[Namespaces, Process, Process]]:
    """Two nodes that dial each other, each on a machine of its own as far as the network goes."""
    names = [f"{name}{next(_NUMBERS)}" for name in "ab"]  # the kernel is slow to forget one
    with namespaces(names) as network:
        a, b = (Process(tmp_path, name, network.prefix(name)) for name in names)
        try:
            yield network, a, b
        finally:
            a.end()
            b.end()


def _start_both(network: Namespaces, a: Process, b: Process) -> None:
    a.start("127.0.0.1:7801", f"{b.name}@{network.host(b.name)}:7801")
    b.start("127.0.0.1:7801", f"{a.name}@{network.host(a.name)}:7801")
    a.says("up", b.name)
    b.says("up", a.name)


@pytest.mark.parametrize("ways", [1, 2], ids=["one way", "both ways"])
def test_a_cut_line_is_lost_in_time_and_made_anew(
    apart: tuple[Namespaces, Process, Process], ways: int
) -> None:
    network, a, b = apart
    _start_both(network, a, b)
    time.sleep(1)  # both have dialled by now
    network.cut(a.name, b.name)
    if ways == 2:
        network.cut(b.name, a.name)
    b.says("down", a.name)
    a.says("down", b.name)
    seen = {each.name: len(each.lines) for each in (a, b)}
    network.heal(a.name, b.name)
    network.heal(b.name, a.name)
    healed = time.monotonic()
    a.says("up", b.name, since=seen[a.name])
    b.says("up", a.name, since=seen[b.name])
    assert time.monotonic() - healed < 10


def test_a_node_behind_nat_dials_out_and_is_spoken_to(
    apart: tuple[Namespaces, Process, Process],
) -> None:
    network, a, b = apart
    inside = network.prefix(b.name)
    closed = ["-p", "tcp", "--syn", "-i", "eth0", "-j", "DROP"]
    subprocess.run([*inside, "iptables", "-A", "INPUT", *closed], check=True)
    _start_both(network, a, b)
    time.sleep(SILENCE_S + 1)
    assert a.lines == [["up", b.name]]
    assert b.lines == [["up", a.name]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_another_user_of_the_machine_is_no_node(tmp_path: Path) -> None:
    nobody = 65_534
    program = (
        "import os, socket, sys, time\n"
        f"os.setuid({nobody})\n"
        "there = socket.socket()\n"
        "there.connect(('127.0.0.1', int(sys.argv[1])))\n"
        "there.recv(1)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stranger = subprocess.Popen([sys.executable, "-c", program, str(port)])
        connection, remote = listener.accept()
        with connection, socket.create_connection(("127.0.0.1", port)) as own:
            ours, own_remote = listener.accept()
            with ours:
                assert user_at(remote, connection.getsockname()) == nobody
                assert user_at(own_remote, ours.getsockname()) == os.geteuid()
                assert user_at(("127.0.0.1", 1), ours.getsockname()) is None
                assert user_at(("10.1.2.3", own.getsockname()[1]), ours.getsockname()) is None
        stranger.wait()
