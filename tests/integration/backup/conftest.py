"""A backup of a node that goes on running, and what was in that node at the time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.node_process import NodeProcess, running, until

RAW = {"Content-Type": "application/octet-stream"}


class Source(NamedTuple):
    """A node, its jobs by name, and the path of a backup of it."""

    node: NodeProcess
    jobs: dict[str, str]
    token: str
    events: list[dict[str, Any]]
    path: Path


def backup(data: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `jobctl backup`."""
    command = [sys.executable, "-m", "jobd.cli", "--data", str(data), "backup", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def made(data: Path, directory: Path) -> Path:
    """Make a backup and return its path."""
    done = backup(data, "create", directory)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def lag_of(node: NodeProcess) -> float:
    """How far history is behind, by the node's metrics."""
    found = json.loads((node.data / "run" / "node.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{found}/metrics", timeout=5) as response:
        (lag,) = re.findall(r"^jobd_history_lag_seconds (\S+)$", response.read().decode(), re.M)
    return float(lag)


def fill(node: NodeProcess) -> dict[str, str]:
    """Run jobs that leave something of each kind behind; two go on."""
    jobs = {
        "logged": node.submit(shell="echo hello; exit 3"),
        "small": node.submit(shell="echo '{\"a\": 1}' >$JOBD_OUTPUT"),
        "large": node.submit(
            shell="(printf '\"'; head -c 99999 /dev/zero | tr \"\\0\" 7; echo '\"') >$JOBD_OUTPUT"
        ),
        "fan-out": node.submit(shell="echo $JOBD_TASK_INDEX", tasks=3),
        "later": node.submit(cmd="true", trigger={"delay": "1h"}),
    }
    for name in ("logged", "small", "large", "fan-out"):
        node.ended(jobs[name])
    node.call("PUT", "/secrets/db", b"swordfish", RAW)
    jobs["running"] = node.submit(cmd="sleep", args=["60"], node_lost="fail")
    jobs["again"] = node.submit(
        shell="echo $JOBD_FENCE; test $JOBD_ATTEMPT = 2 || sleep 60", idempotent=True
    )
    until(lambda: all(node.job(jobs[name])["state"] == "running" for name in ("running", "again")))
    until(lambda: node.logs(jobs["again"]))
    node.call("PUT", "/kv/a/b", b"xyz", RAW)
    return jobs


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    base = tmp_path_factory.mktemp("backup")
    with running(base / "data", "--slots", "4") as node:
        jobs = fill(node)
        token = node.call("POST", "/tokens", {"name": "ci", "scopes": ["read"]})["token"]
        until(lambda: (node.data / "history").exists() and lag_of(node) == 0)
        path = made(node.data, base / "backups")
        events = node.call("GET", "/events?limit=500")["items"]
        yield Source(node, jobs, token, events, path)
