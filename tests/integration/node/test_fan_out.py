"""Indexed fan-outs: members, parallelism, min_success, fail_fast, cancel."""

from __future__ import annotations

from typing import Any

from tests.integration.node.conftest import SLOTS
from tests.integration.node_process import NodeProcess, until


def attempts(node: NodeProcess, job_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = node.call("GET", f"/jobs/{job_id}/attempts?limit=500")["items"]
    return items


def most_at_once(found: list[dict[str, Any]]) -> int:
    """How many attempts ran side by side, by their own times; an end goes before a start."""
    edges = [(a["started_at"], 1) for a in found] + [(a["ended_at"], -1) for a in found]
    now = most = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


def test_every_index_once(node: NodeProcess) -> None:
    script = (
        'echo "task $JOBD_TASK_INDEX of $CLOUD_RUN_TASK_COUNT"; echo $JOBD_TASK_INDEX >$JOBD_OUTPUT'
    )
    job_id = node.submit(shell=script, tasks=40)
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "tasks")
    assert job["detail"] == "40 of 40 tasks succeeded, 40 needed"
    assert job["task_states"] == {"succeeded": 40}
    found = attempts(node, job_id)
    assert [a["task"] for a in found] == list(range(40))
    assert most_at_once(found) <= SLOTS
    for task in (0, 7, 39):
        assert node.call("GET", f"/jobs/{job_id}/output?task={task}") == task
        assert [r["text"] for r in node.logs(job_id, task=task)] == [f"task {task} of 40\n"]


def test_parallelism_bounds_it(node: NodeProcess) -> None:
    job_id = node.submit(shell="sleep 0.1", tasks=6, parallelism=2)
    assert node.ended(job_id)["state"] == "succeeded"
    assert most_at_once(attempts(node, job_id)) <= 2


def test_enough_of_them_succeed(node: NodeProcess) -> None:
    script = "test $JOBD_TASK_INDEX -lt 8"
    enough = node.submit(shell=script, tasks=10, min_success="80%")
    lacking = node.submit(shell=script, tasks=10, min_success=9)
    assert node.ended(enough)["state"] == "succeeded"
    assert node.ended(enough)["task_states"] == {"succeeded": 8, "failed": 2}
    job = node.ended(lacking)
    assert (job["state"], job["reason"]) == ("failed", "tasks")
    assert job["detail"] == "8 of 10 tasks succeeded, 9 needed"


def test_fail_fast_ends_the_rest(node: NodeProcess) -> None:
    script = "test $JOBD_TASK_INDEX = 0 && exit 1; exec sleep 60"
    job_id = node.submit(shell=script, tasks=20, fail_fast=True, kill_grace_ms=500)
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "tasks")
    states = job["task_states"]
    assert states.pop("failed") == 1
    assert set(states) == {"cancelled"}


def test_retry_and_timeout_are_a_tasks_own(node: NodeProcess) -> None:
    script = "test $JOBD_TASK_INDEX = 1 && exec sleep 60; test $JOBD_ATTEMPT = 2"
    retry = {"max_attempts": 2, "delay_ms": 0}
    job_id = node.submit(shell=script, tasks=3, timeout_ms=300, retry=retry, min_success=2)
    assert node.ended(job_id)["task_states"] == {"succeeded": 2, "failed": 1}
    found = [(a["task"], a["attempt"], a["reason"]) for a in attempts(node, job_id)]
    assert found == [
        (0, 1, "exit"), (0, 2, "exit"),
        (1, 1, "timeout"), (1, 2, "timeout"),
        (2, 1, "exit"), (2, 2, "exit"),
    ]  # fmt: skip


def test_total_timeout_is_the_jobs(node: NodeProcess) -> None:
    job_id = node.submit(cmd="sleep", args=["60"], tasks=6, total_timeout_ms=400)
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "timeout")
    assert job["task_states"] == {"cancelled": 6}


def test_cancel_ends_all_members(node: NodeProcess) -> None:
    job_id = node.submit(cmd="sleep", args=["60"], tasks=9, parallelism=6)
    until(lambda: node.job(job_id)["task_states"].get("running") == SLOTS)
    (summary, first) = node.call("GET", f"/jobs/{job_id}/explain")["reasons"][:2]
    assert summary["message"] == "6 of 9 tasks made: 2 pending, 4 running"
    assert (first["code"], first["message"]) == ("no_room", "no node has room for it now")
    node.call("POST", f"/jobs/{job_id}/cancel", {"reason": "enough"})
    job = node.ended(job_id)
    assert (job["state"], job["detail"]) == ("cancelled", "enough")
    assert job["task_states"] == {"cancelled": 6}
    assert node.call("GET", "/status")["slots_free"] == SLOTS
