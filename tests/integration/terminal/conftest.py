"""A real terminal, which tmux is, in which somebody types jobctl against a real node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.node_process import NodeProcess, running
from tests.parts import need

PATIENCE_S = 20.0


class Terminal:
    """One pane. What it shows is waited for, since a terminal has no answers."""

    def __init__(self, socket: Path, env: dict[str, str], shell: str) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._env = env
        self._run("new-session", "-d", "-x", "100", "-y", "24", "-s", "t", shell)

    def _run(self, *args: str) -> str:
        done = subprocess.run(
            [*self._tmux, *args], env=self._env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self._run("send-keys", "-t", "t", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys: `C-c`, `Tab`, `q`."""
        self._run("send-keys", "-t", "t", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self._run("resize-window", "-t", "t", "-x", str(columns), "-y", str(lines))

    def screen(self, *, escapes: bool = False) -> str:
        """What is on the screen now; with escapes, colours too."""
        return self._run("capture-pane", "-t", "t", "-p", *(["-e"] if escapes else []))

    def until(self, there: Callable[[str], bool] | str) -> str:
        """Return the screen once it shows this. Fails with the screen when it does not."""
        found = there if callable(there) else lambda screen: there in screen
        deadline = time.monotonic() + PATIENCE_S
        while not found(screen := self.screen()):
            assert time.monotonic() < deadline, f"the terminal shows:\n{screen}"
            time.sleep(0.05)
        return screen

    def end(self) -> None:
        """End the server of this terminal and all in it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    need("tmux", shutil.which("tmux") is not None, "tmux is not installed")
    data = tmp_path_factory.mktemp("terminal") / "data"
    with running(data, "--slots", "2", "--name", "vm") as started:
        yield started


@pytest.fixture
def environment(node: NodeProcess, tmp_path: Path) -> dict[str, str]:
    """What a shell finds: `jobctl`, and the node."""
    command = tmp_path / "bin" / "jobctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobd.cli "$@"\n')
    command.chmod(0o755)
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    own = {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "JOBD_DATA": str(node.data)}
    return {**kept, **own, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path / "tmux", environment, "bash --norc --noprofile")
    try:
        opened.type("PS1='$ '; clear; echo rea''dy")
        opened.until("ready\n$")
        opened.type("clear")
        opened.until(lambda screen: screen.strip() == "$")
        yield opened
    finally:
        opened.end()
