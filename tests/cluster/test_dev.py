"""`jobd dev`: a cluster from one command, broken from another terminal, and gone at Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.processes import tree
from tests.docs.session import environment
from tests.integration.node_process import until

_ENDS_S = 5.0
_READY_S = 20.0  # 3 s on a machine with nothing else to do: what counts is measured by hand


class Dev:
    """`jobd dev` in a directory, and jobctl beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobd", "dev", "--http", "127.0.0.1:0"],
            cwd=directory,
            env=environment(directory),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def read(self, end: str) -> str:
        """Read what it says until a line begins so."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if line.startswith(end):
                return self.said
        raise AssertionError(f"it ended: {self.said}")

    def jobctl(self, *args: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jobd.cli", *args],
            cwd=self.directory,
            env=environment(self.directory),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def interrupt(self) -> float:
        """Ctrl-C; return how long it took to end."""
        began = time.monotonic()
        os.killpg(self._process.pid, signal.SIGINT)
        assert self._process.wait(20) == 0
        return time.monotonic() - began

    def end(self) -> None:
        if self._process.poll() is None:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path)
    try:
        started.read("Ctrl-C")
        yield started
    finally:
        started.end()


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_cluster_from_one_command_goes_on_without_a_node_and_leaves_nothing(dev: Dev) -> None:
    ready = re.search(r"^3 nodes are ready after ([\d.]+) s$", dev.said, re.MULTILINE)
    assert ready and float(ready[1]) < _READY_S, dev.said
    assert len(re.findall(r"^node\d +http://127.0.0.1:\d+ ", dev.said, re.MULTILINE)) == 3
    token = re.search(r"^The token (jobd_\S+)$", dev.said, re.MULTILINE)
    assert token

    demo = {
        job["name"]: job for job in json.loads(dev.jobctl("job", "list", "-o", "json"))["items"]
    }
    assert demo.keys() == {"checksum", "count-words", "flaky", "endless"}
    dev.jobctl("job", "wait", "flaky", "--timeout", "60s")

    dev.jobctl("dev", "kill", "node1", "--with-jobs")
    assert "node1  stopped" in dev.jobctl("dev", "status")
    assert "still here" in dev.jobctl("run", "--", "echo", "still here")
    dev.jobctl("dev", "restart", "node1")
    dev.jobctl("dev", "cut", "node2")
    assert dev.jobctl("dev", "status").count("node1,node3") == 1
    assert "twice" in dev.jobctl("run", "--", "echo", "twice")
    dev.jobctl("dev", "heal")
    dev.jobctl("dev", "freeze", "node3")
    assert "node3  frozen" in dev.jobctl("dev", "status")
    dev.jobctl("dev", "thaw", "node3")
    dev.jobctl("job", "create", "left", "--", "sleep", "1000")
    until(lambda: "left" in dev.jobctl("job", "list", "--state", "running"))

    pids = dev.pids()
    assert dev.interrupt() <= _ENDS_S
    until(lambda: not alive(pids))
    assert list(dev.directory.iterdir()) == []


def test_what_is_no_development_cluster_is_not_broken(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobd.cli", "--data", str(tmp_path), "dev", "kill", "node1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 64
    assert "has no cluster of `jobd dev`: only that can be broken on purpose" in done.stderr


def test_mistakes_are_told(dev: Dev) -> None:
    assert (
        "the nodes are node1, node2, node3" in dev.jobctl("dev", "kill", "node9", code=66).lower()
    )
    assert "does not run" in (
        dev.jobctl("dev", "kill", "node2") and dev.jobctl("dev", "kill", "node2", code=76)
    )
    second = subprocess.run(
        [sys.executable, "-m", "jobd", "dev", "--http", "127.0.0.1:0"],
        cwd=dev.directory,
        env=environment(dev.directory),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 73
    assert "is in use by process" in second.stderr
