"""jobctl as a process of its own, against one real node for each module of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.node_process import NodeProcess, running


class Ran(NamedTuple):
    code: int
    out: bytes
    err: str


class Jobctl:
    """Run jobctl, which finds the node by its data directory alone."""

    def __init__(self, data: Path) -> None:
        home = str(data.parent)
        self._env = {"PATH": os.environ["PATH"], "HOME": home, "JOBD_DATA": str(data)}

    def start(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jobd.cli", *args]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self._env, **{**pipes, **options})

    def __call__(self, *args: str) -> Ran:
        started = self.start(*args)
        out, err = started.communicate(timeout=60)
        return Ran(started.returncode, out, err.decode(errors="replace"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("doors") / "data", "--slots", "4") as started:
        yield started


@pytest.fixture(scope="module")
def jobctl(node: NodeProcess) -> Jobctl:
    return Jobctl(node.data)
