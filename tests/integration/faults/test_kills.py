"""Kill -9, SIGSTOP and SIGTERM, of the node and of its job supervisor, at any moment."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faults.stream import Stream
from tests.integration.node_process import NodeProcess, running, until

ROUNDS = int(os.environ.get("JOBD_KILLS", "4"))
LINES = 40


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running(tmp_path / "data", "--slots", "4") as started:
        yield started


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_of(node: NodeProcess, job_id: str) -> int:
    """The pid that a job has printed as its first line."""
    return int(until(lambda: node.logs(job_id))[0]["text"])


def test_kill_9_of_the_node_loses_nothing_that_was_accepted(node: NodeProcess) -> None:
    stream = Stream(node, {"shell": f"seq {LINES}; sleep 0.05; seq {LINES} >&2"}).start()
    rng = random.Random(0)
    for _ in range(ROUNDS):
        time.sleep(rng.uniform(0.1, 0.8))
        node.kill()
        node.start()
    stream.stop()
    jobs = [made for made, *others in map(list, stream.accepted.values()) if not others]
    assert len(jobs) == len(stream.accepted), "a key made two jobs"
    assert len(set(jobs)) == len(jobs) > ROUNDS
    assert stream.repeats > 0
    whole = [f"{n}\n" for n in range(1, LINES + 1)]
    for job_id in jobs:
        job = node.ended(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 1), job
    for job_id in jobs[:: max(1, len(jobs) // 40)]:
        for name in ("stdout", "stderr"):
            texts = [record["text"] for record in node.logs(job_id, stream=name)]
            assert "".join(texts) == "".join(whole)
    found = node.call("GET", "/status")["jobs"]
    assert found == {"succeeded": len(jobs)}


def test_kill_9_of_the_job_supervisor_ends_its_jobs_and_the_node_goes_on(
    node: NodeProcess,
) -> None:
    job_id = node.submit(shell="echo $$; sleep 60 & wait")
    once_more = node.submit(
        shell="test $JOBD_ATTEMPT = 2 || sleep 60", node_lost={"wait": "0s", "then": "requeue"}
    )
    pid = pid_of(node, job_id)
    until(lambda: node.job(once_more)["state"] == "running")
    supervisor = node.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "node_lost"), job
    assert not is_alive(pid)
    requeued = node.ended(once_more)
    assert (requeued["state"], requeued["attempt"]) == ("succeeded", 2), requeued
    assert node.supervisor_pid() not in (None, supervisor)


def test_both_killed_at_once(node: NodeProcess) -> None:
    job_id = node.submit(shell="echo $$; sleep 60 & wait")
    pid = pid_of(node, job_id)
    supervisor = node.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    node.kill()
    node.start()
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "node_lost"), job
    assert not is_alive(pid)
    assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"


def test_a_stopped_node_goes_on_where_it_was(node: NodeProcess) -> None:
    job_id = node.submit(shell="echo $$; sleep 1; echo done")
    pid_of(node, job_id)
    os.kill(node.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(node.pid, signal.SIGCONT)
    job = node.ended(job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert node.logs(job_id)[-1]["text"] == "done\n"
    assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"


def test_sigterm_leaves_a_running_job_to_its_supervisor(node: NodeProcess) -> None:
    job_id = node.submit(shell="echo $$; sleep 2; echo done")
    pid = pid_of(node, job_id)
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began <= 5
    assert is_alive(pid)
    node.start()
    job = node.ended(job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert node.logs(job_id)[-1]["text"] == "done\n"
