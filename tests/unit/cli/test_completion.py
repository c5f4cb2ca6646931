"""Shells complete jobctl: its words and what the node has at this moment.

zsh completes in a terminal only: tests/integration/terminal has it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.parts import need
from tests.unit.http.facade import Facade

# What a shell of somebody who types needs to have; bash is on every machine that runs JobD.
BASH = """
source <(jobctl completion bash)
COMP_LINE="$*"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_jobctl_completion jobctl 2>&1
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "jobctl completion fish | source; complete -C {line}"


@pytest.fixture
def shell(served: Facade, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in which `jobctl` is a command."""
    command = tmp_path / "jobctl"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobd.cli "$@"\n')
    command.chmod(0o755)
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    return {**kept, **own, "JOBD_URL": served.url, "JOBD_TOKEN": served.token}


def run(command: list[str], env: dict[str, str]) -> tuple[list[str], str]:
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines(), done.stderr


def bash(env: dict[str, str], *words: str) -> list[str]:
    out, err = run(["bash", "--norc", "-c", BASH, "bash", *words], env)
    assert err == ""
    return [line for line in out if line]


def submit(served: Facade, name: str) -> str:
    spec = {"name": name, "type": "command", "cmd": "x"}
    return str(served.api("POST", "/jobs", spec).json["id"])


def test_bash_completes_commands_options_and_choices(shell: dict[str, str]) -> None:
    assert bash(shell, "jobctl", "va") == ["validate"]
    assert {"list", "logs", "why"} <= set(bash(shell, "jobctl", "job", ""))
    assert bash(shell, "jobctl", "job", "list", "--st") == ["--state"]
    assert bash(shell, "jobctl", "job", "list", "--state", "su") == ["succeeded"]


def test_bash_completes_live_names_and_ids(served: Facade, shell: dict[str, str]) -> None:
    pack, _, other = submit(served, "pack"), submit(served, "pack"), submit(served, "sweep")
    assert bash(shell, "jobctl", "job", "get", "") == ["sweep", "pack"]
    assert bash(shell, "jobctl", "job", "cancel", "sweep", "pa") == ["pack"]
    assert {pack, other} <= set(bash(shell, "jobctl", "job", "logs", "-f", pack[:10]))
    token = served.token.split("_")[1]
    assert bash(shell, "jobctl", "token", "revoke", token[:5]) == [token]
    served.api("PUT", "/kv/app/size", b"1", headers={"Content-Type": "application/octet-stream"})
    assert bash(shell, "jobctl", "kv", "get", "app/") == ["app/size"]
    assert bash(shell, "jobctl", "context", "use", "") == ["local"]
    given = ("jobctl", "--url", served.url, "--token", served.token, "job", "get", "")
    del shell["JOBD_URL"], shell["JOBD_TOKEN"]
    assert bash(shell, *given) == ["sweep", "pack"]


def test_nothing_is_said_into_a_line_that_is_typed(served: Facade, shell: dict[str, str]) -> None:
    submit(served, "pack")
    assert bash(shell | {"JOBD_TOKEN": "jobd_x_y"}, "jobctl", "job", "get", "") == []
    assert bash(shell | {"JOBD_URL": "http://127.0.0.1:9"}, "jobctl", "job", "get", "") == []
    assert bash(shell | {"JOBD_URL": "nonsense://"}, "jobctl", "job", "get", "") == []
    broken = Path(shell["HOME"], ".config", "jobd", "config.toml")
    broken.parent.mkdir(parents=True)
    broken.write_text("current =")
    assert bash(shell, "jobctl", "--context", "") == ["local"]
    assert bash(shell, "jobctl", "no", "such", "") == bash(shell, "jobctl", "")


def test_a_node_that_does_not_answer_costs_300_ms(shell: dict[str, str]) -> None:
    """By the node's clock: how long jobctl starts is no matter of how long it waits."""
    waited_s: list[float] = []

    def listen(silent: socket.socket) -> None:
        connection, _ = silent.accept()
        began = time.monotonic()
        with connection:
            while connection.recv(4096):
                pass
        waited_s.append(time.monotonic() - began)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {**shell, "JOBD_URL": url, "_JOBCTL_COMPLETE": "bash_complete"}
        env |= {"COMP_WORDS": "jobctl job get ", "COMP_CWORD": "3"}
        for _ in range(3):
            node = threading.Thread(target=listen, args=(silent,))
            node.start()
            assert run(["jobctl"], env) == ([""], "")
            node.join(10)
    assert len(waited_s) == 3
    assert 0.2 < min(waited_s) < 0.6


def test_fish_completes_live_names(served: Facade, shell: dict[str, str]) -> None:
    need("fish", shutil.which("fish") is not None, "fish is not installed")
    submit(served, "pack")

    def complete(line: str) -> list[str]:
        script = FISH.format(line=shlex.quote(line))
        out, err = run(["fish", "--no-config", "-c", script], shell)
        assert err == ""
        return [text.split("\t")[0] for text in out]

    assert complete("jobctl va") == ["validate"]
    assert complete("jobctl job get pa") == ["pack"]
