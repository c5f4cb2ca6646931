"""`jobd repl` as its user has it: programs through a pipe, and a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobd.client import Client
from tests.integration.client.conftest import cluster_of
from tests.integration.node_process import NodeProcess

REPL = [sys.executable, "-m", "jobd", "repl"]


def environment(node: NodeProcess, home: Path) -> dict[str, str]:
    shown = {"TERM": "dumb", "COLUMNS": "120", "PYTHON_HISTORY": "/dev/null"}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "JOBD_DATA": str(node.data), **shown}


def run(node: NodeProcess, home: Path, program: str, *args: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*REPL, *args],
        input=program,
        env=environment(node, home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_program_through_a_pipe(node: NodeProcess, tmp_path: Path) -> None:
    program = """
job = jobs.submit({"name": "piped", "type": "command", "shell": "echo hello"})
job.logs(follow=True)
print(job.wait().state, jobs["piped"].get().attempt, (await aclient.status()).name)
print(jobs(state="succeeded", name="piped"))
print(actors)
print(actors["/scheduler"].inspect().state, actors["/home"].ping())
print([row.address for row in actors("/slot/0")], nodes()[0].name)
print(len(job.attempts()), events("jobd:job:completed")[-1].subject == f"job/{job.id}")
watch(status().name.upper, 0.01, 2)
"""
    code, out, err = run(node, tmp_path, program)
    assert (code, err) == (0, "")
    assert out.startswith("hello\nsucceeded 1 vm\n")
    assert re.search(r"^  /scheduler +Scheduler +running +\d", out, re.MULTILINE)
    assert "\nrunning 1\n['/slot/0'] vm\n1 True\n" in out
    assert out.endswith("\n'VM'\n")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("print('before')\n1/0\n", "ZeroDivisionError"),
        ("x = (\n", "SyntaxError"),
        ("jobs['nosuch']", "NotFound: no job has the id or the name 'nosuch'\n"),
        ("import sys; sys.exit('enough')", "enough"),
    ],
)
def test_a_program_that_fails(node: NodeProcess, tmp_path: Path, program: str, says: str) -> None:
    code, _, err = run(node, tmp_path, program)
    assert code == 1
    assert says in err
    assert "jobd/repl" not in err


def test_its_exit_code_is_the_program_s(node: NodeProcess, tmp_path: Path) -> None:
    assert run(node, tmp_path, "raise SystemExit(3)")[0] == 3


def test_nobody_there_is_said(node: NodeProcess, tmp_path: Path) -> None:
    code, _, err = run(node, tmp_path, "", "127.0.0.1:1")
    assert code == 69
    assert err.startswith("jobd: no node answers at 127.0.0.1:1 (connection refused)\n")
    code, _, err = run(node, tmp_path, "", cluster_of(node), "--token", "jobd_x_y")
    assert code == 77


def test_an_actor_of_a_user_is_called(node: NodeProcess, tmp_path: Path) -> None:
    host = f"""
import sys, actors
actors.connect("tcp://{cluster_of(node)}", token="{node.token}")
@actors.remote
class Counter:
    def __init__(self): self.n = 0
    def add(self, k):
        self.n += k
        return self.n
counter = Counter.options(name="repl-counter").remote()
print("ready", flush=True)
sys.stdin.read()
"""
    hosted = subprocess.Popen(
        [sys.executable, "-c", host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert hosted.stdin
    assert hosted.stdout
    try:
        assert hosted.stdout.readline() == "ready\n"
        program = """
counter = get_actor("repl-counter")
print(get(counter.add.remote(2)), await counter.add.remote(3))
"""
        assert run(node, tmp_path, program) == (0, "2 5\n", "")
    finally:
        hosted.stdin.close()
        hosted.wait(20)
        hosted.stdout.close()


class Terminal:
    """The prompt on a pseudo-terminal."""

    def __init__(self, node: NodeProcess, home: Path) -> None:
        self.said = ""
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, REPL, environment(node, home))

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def until(self, pattern: str, timeout_s: float = 20) -> str:
        """Read until it has said this, and return all that it said up to there."""
        deadline = time.monotonic() + timeout_s
        while (found := re.search(pattern, self.said)) is None:
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come in {self.said!r}"
            if select.select([self._file], [], [], left)[0]:
                self.said += os.read(self._file, 65_536).decode(errors="replace")
        said, self.said = self.said[: found.end()], self.said[found.end() :]
        return said

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._file)


@pytest.fixture
def terminal(node: NodeProcess, tmp_path: Path) -> Iterator[Terminal]:
    shown = Terminal(node, tmp_path)
    try:
        yield shown
    finally:
        shown.close()


PROMPT = r">>> "


def test_a_session_at_a_terminal(node: NodeProcess, terminal: Terminal, tmp_path: Path) -> None:
    banner = terminal.until(PROMPT)
    assert re.search(r"node vm, \d+ of \d+ slots free\.\r\nhelp\(\) says", banner)
    with Client(cluster_of(node), token=node.token) as client:
        job = client.submit({"name": "tab-job", "type": "command", "cmd": "true"}, wait=True)
    terminal.type('jobs["tab-\t].id\r')
    assert f"'{job.id}'" in terminal.until(PROMPT)
    terminal.type('actors["/repl\t].ping()\r')
    assert 'actors["/replica"].ping()' in terminal.until(r"\r\n1\r\n>>> ")
    terminal.type("await aclient.status()\r")
    assert re.search(r"name +vm\r\n", terminal.until(PROMPT))
    terminal.type("_.name\r")
    terminal.until(r"'vm'\r\n>>> ")
    terminal.type("jobs['nosuch']\r")
    said = terminal.until(PROMPT)
    assert "NotFound: no job has the id or the name 'nosuch'" in said
    assert "Traceback" not in said
    terminal.type("1/0\r")
    assert "Traceback" in terminal.until(PROMPT)
    terminal.type("help()\r")
    assert "the live tree" in terminal.until(PROMPT)
    terminal.type("watch(jobs, 0.1)\r")
    terminal.until("tab-job")
    os.kill(terminal.pid, signal.SIGINT)
    terminal.until(PROMPT)
    terminal.type(
        "client.wait(jobs.submit({'name': 'w', 'type': 'command', 'shell': 'sleep 60'}))\r"
    )
    time.sleep(0.5)
    os.kill(terminal.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in terminal.until(PROMPT)
    terminal.type("jobs['w'].cancel().cancel_requested\r")
    terminal.until(r"\r\nTrue\r\n>>> ")
    terminal.type("half a line")
    terminal.until("half a line")
    time.sleep(0.2)  # a signal that comes while readline takes a character waits for the next one
    terminal.type("\x03")
    assert "KeyboardInterrupt" in terminal.until(PROMPT)
    terminal.type("\x04")
    assert terminal.exit_code() == 0
    history = tmp_path / ".local" / "state" / "jobd" / "repl_history"
    assert "_.name" in history.read_text().splitlines()
    assert history.stat().st_mode & 0o077 == 0
