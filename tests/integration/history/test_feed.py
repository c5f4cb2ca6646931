"""What ends on a real node is in its history, once, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.node_process import NodeProcess, until

TITLE = "jobd: history"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node that is not started yet, and is ended whatever happens."""
    made = NodeProcess(tmp_path / "data")
    try:
        yield made
    finally:
        made.end()


def history_pid(node: NodeProcess) -> int | None:
    """Return the history process of a node, None while there is none."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    for child in children:
        try:
            if TITLE.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        except OSError:
            continue
    return None


def rows(data: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds in the history of a node that is not running."""
    with duckdb.connect(str(data / "history" / "jobd.duckdb"), read_only=True) as history:
        return history.execute(sql).fetchall()


def recorded(node: NodeProcess) -> bool:
    """Whether history has caught up with what has ended."""
    found = json.loads((node.data / "run" / "node.json").read_text())
    text = urllib.request.urlopen(f"http://{found['metrics']}/metrics", timeout=5).read()
    return b"jobd_history_lag_seconds 0.0\n" in text


def test_ended_jobs_are_recorded_with_attempts_tasks_outputs_and_events(node: NodeProcess) -> None:
    node.start()
    assert history_pid(node) is None, "nothing has ended yet"
    one = node.submit(cmd="true", environment={"TOKEN": "hush-hush"}, labels={"team": "data"})
    fan = node.submit(tasks=3, shell='echo {\\"i\\":$JOBD_TASK_INDEX} > $JOBD_OUTPUT')
    bad = node.submit(shell="exit 3", retry={"max_attempts": 2, "delay": "10ms"})
    for job in (one, fan, bad):
        node.ended(job)
    until(lambda: recorded(node))
    node.stop()
    found = {
        row[0]: row[1:]
        for row in rows(node.data, "select id, state, exit_code, tasks, attempts from jobs")
    }
    assert found == {
        one: ("succeeded", 0, 1, 1),
        fan: ("succeeded", None, 3, 3),
        bad: ("failed", 3, 1, 2),
    }
    teams = rows(node.data, f"select labels['team'] from jobs where id = '{one}'")
    assert teams == [("data",)]
    attempts = rows(node.data, f"select attempt, exit_code from attempts where job_id = '{bad}'")
    assert sorted(attempts) == [(1, 3), (2, 3)]
    outputs = rows(node.data, "select task, value->>'i' from outputs order by task")
    assert outputs == [(0, "0"), (1, "1"), (2, "2")]
    types = dict(rows(node.data, "select type, count(*) from events group by all"))
    assert types["jobd:job:submitted"] == 3
    content = b"".join(p.read_bytes() for p in (node.data / "history").glob("jobd*"))
    assert b"hush-hush" not in content


def test_a_history_that_is_killed_again_and_again_has_every_job_once(node: NodeProcess) -> None:
    node.start()
    jobs = [node.submit(cmd="true")]
    deadline = time.monotonic() + 8
    kills = 0
    while time.monotonic() < deadline:
        jobs += [node.submit(cmd="true") for _ in range(10)]
        pid = history_pid(node)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        time.sleep(0.4)
    assert kills >= 3
    until(lambda: recorded(node), 40)
    node.kill()
    until(
        lambda: subprocess.run(["pgrep", "-f", str(node.data)], capture_output=True).stdout == b""
    )
    assert_once(node.data, jobs)


def test_a_node_that_is_killed_again_and_again_doubles_nothing(node: NodeProcess) -> None:
    jobs: list[str] = []
    for round_ in range(4):
        node.start()
        for _ in range(10):
            jobs += [node.submit(cmd="true") for _ in range(4)]
            time.sleep(0.1)
        if round_ < 3:
            node.kill()
    for job in jobs:
        node.ended(job)
    until(lambda: recorded(node), 40)
    node.stop()
    assert_once(node.data, jobs)


def assert_once(data: Path, jobs: list[str]) -> None:
    assert rows(data, "select count(*), count(distinct id) from jobs") == [(len(jobs), len(jobs))]
    assert {row[0] for row in rows(data, "select id from jobs")} == set(jobs)
    twice = "select revision, k from events group by all having count(*) > 1"
    assert rows(data, twice) == []
    ends = "select count(*) from events where type = 'jobd:job:completed'"
    assert rows(data, ends) == [(len(jobs),)]


def test_a_history_that_hangs_is_replaced_and_the_node_goes_on(node: NodeProcess) -> None:
    node.start()
    jobs = [node.submit(cmd="true")]
    until(lambda: history_pid(node) is not None)
    until(lambda: recorded(node))
    hanging = history_pid(node)
    assert hanging is not None
    os.kill(hanging, signal.SIGSTOP)
    jobs += [node.submit(cmd="true") for _ in range(5)]
    for job in jobs:
        node.ended(job)
    until(lambda: history_pid(node) not in (None, hanging), 40)
    until(lambda: recorded(node), 40)
    node.stop()
    assert_once(node.data, jobs)


def test_it_ends_with_its_node(node: NodeProcess) -> None:
    node.start()
    node.ended(node.submit(cmd="true"))
    pid = until(lambda: history_pid(node))
    until(lambda: recorded(node))
    os.kill(pid, signal.SIGSTOP)  # it can't end by itself
    node.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state_of(pid))


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_sql_finds_what_has_just_ended(node: NodeProcess) -> None:
    node.start()
    for n in range(1, 6):
        node.ended(node.submit(cmd="true"))
        found = node.call("POST", "/query", {"sql": "select count(*) from jobs"})
        assert found["rows"] == [[n]]
