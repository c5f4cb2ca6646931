"""The node is killed under its clients: nothing accepted is lost, and they go on by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.doors.conftest import Jobctl
from tests.integration.node_process import NodeProcess, running, until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running(tmp_path / "data") as started:
        yield started


@pytest.fixture
def jobctl(node: NodeProcess) -> Jobctl:
    return Jobctl(node.data)


def test_run_outlives_a_killed_node_that_comes_back_elsewhere(
    node: NodeProcess, jobctl: Jobctl
) -> None:
    line = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.4; done; echo done >&2; exit 5"
    ctl = jobctl.start("run", "--name", "long", line)
    assert ctl.stdout is not None
    assert ctl.stdout.readline() == b"1\n"
    node.kill()
    node.start()
    out, err = ctl.communicate(timeout=40)
    assert (ctl.returncode, out) == (5, b"2\n3\n4\n5\n6\n7\n8\n")
    assert b"done\n" in err
    (job,) = node.call("GET", "/jobs?name=long")["items"]
    assert (job["attempt"], job["exit_code"]) == (1, 5)


def test_accepted_is_there_after_a_kill_and_its_key_still_holds(
    node: NodeProcess, jobctl: Jobctl
) -> None:
    create = ("job", "create", "kept", "--delay", "1h", "--idempotency-key", "k", "--", "true")
    job_id = jobctl(*create).out.decode().strip()
    revision = jobctl("kv", "put", "app/greeting", "hello").out.decode().strip()
    emitted = jobctl("event", "emit", "order:created").out.decode().strip()
    node.kill()
    node.start()
    assert jobctl(*create).out.decode().strip() == job_id
    assert len(node.call("GET", "/jobs?name=kept")["items"]) == 1
    assert jobctl("kv", "get", "app/greeting").out == b"hello"
    assert jobctl("kv", "put", "app/greeting", "x", "--if-match", revision).code == 0
    assert jobctl("event", "list", "--type", "order:*", "-o", "name").out == (
        f"event/{emitted}\n".encode()
    )


def test_stopping_node_ends_streams_and_says_where_it_is_not(
    node: NodeProcess, jobctl: Jobctl
) -> None:
    tail = jobctl.start("event", "tail", "-o", "name", "--after", "0-0")
    assert tail.stdout is not None
    assert tail.stdout.readline().startswith(b"event/")
    assert node.stop() == 0
    assert not (node.data / "run" / "node.json").exists()
    node.start()
    emitted = jobctl("event", "emit", "again").out.decode().strip()
    line = b""
    while line != f"event/{emitted}\n".encode():
        line = tail.stdout.readline()
        assert line
    tail.kill()
    tail.communicate()


def test_submission_is_safe_while_the_node_is_killed(node: NodeProcess, jobctl: Jobctl) -> None:
    """Clients submit while the node dies: each gets one job, and each job is some client's."""
    clients = [
        jobctl.start("job", "create", f"c{i}", "--delay", "1h", "--", "true") for i in range(6)
    ]
    until(lambda: node.call("GET", "/jobs")["items"])
    node.kill()
    node.start()
    made, unreached = [], 0
    for client in clients:
        out, _ = client.communicate(timeout=40)
        assert client.returncode in (0, 69)
        unreached += client.returncode == 69
        if client.returncode == 0:
            made.append(out.decode().strip())
    jobs = {job["id"]: job["name"] for job in node.call("GET", "/jobs")["items"]}
    assert set(made) <= set(jobs)
    assert len(set(jobs.values())) == len(jobs)
    assert len(jobs) <= len(made) + unreached


def test_a_node_that_is_gone_is_69(node: NodeProcess, jobctl: Jobctl) -> None:
    assert json.loads(jobctl("status", "-o", "json").out)["slots_total"] > 0
    node.stop()
    ran = jobctl("status")
    assert ran.code == 69
    assert f"no node runs in {node.data}" in ran.err
    assert "jobd start" in ran.err
