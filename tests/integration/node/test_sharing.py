"""What jobs share: concurrency keys, slots by priority, cpu and memory; and why one waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from tests.integration.node.conftest import SLOTS
from tests.integration.node.test_fan_out import most_at_once
from tests.integration.node_process import NodeProcess, Refused, until

_numbers = count()


def key_of(node: NodeProcess, maximum: int = 1, on_limit: str = "queue") -> list[dict[str, Any]]:
    """A key that no other test has."""
    return [{"key": f"key-{next(_numbers)}", "max": maximum, "on_limit": on_limit}]


def hold(node: NodeProcess, **spec: Any) -> str:
    """Run a job that stays until it is cancelled."""
    job_id = node.submit(cmd="sleep", args=["60"], **spec)
    until(lambda: node.job(job_id)["state"] == "running")
    return job_id


def release(node: NodeProcess, *job_ids: str) -> None:
    for job_id in job_ids:
        node.call("POST", f"/jobs/{job_id}/cancel", {})
    for job_id in job_ids:
        node.ended(job_id)


@contextmanager
def all_slots(node: NodeProcess) -> Iterator[list[str]]:
    held = [hold(node) for _ in range(SLOTS)]
    try:
        yield held
    finally:
        release(node, *held)


def reasons(node: NodeProcess, job_id: str) -> dict[str, dict[str, Any]]:
    return {r["code"]: r for r in node.call("GET", f"/jobs/{job_id}/explain")["reasons"]}


# -- concurrency keys


def test_queue(node: NodeProcess) -> None:
    concurrency = key_of(node)
    first = hold(node, concurrency=concurrency)
    later = [node.submit(shell="sleep 0.05", concurrency=concurrency) for _ in range(5)]
    job = node.job(later[0])
    assert (job["state"], job["reason"]) == ("waiting", "concurrency")
    reason = reasons(node, later[0])["concurrency"]
    key = concurrency[0]["key"]
    assert reason["message"] == f"concurrency key {key}: 1 of 1 in use by job {first}"
    release(node, first)
    ended = [node.ended(job_id) for job_id in later]
    assert {job["state"] for job in ended} == {"succeeded"}
    started = [job["started_at"] for job in ended]
    assert started == sorted(started)
    spans = [{"started_at": job["started_at"], "ended_at": job["finished_at"]} for job in ended]
    assert most_at_once(spans) == 1


def test_cancel_new(node: NodeProcess) -> None:
    concurrency = key_of(node, 2, "cancel_new")
    held = [hold(node, concurrency=concurrency) for _ in range(2)]
    job = node.ended(node.submit(cmd="true", concurrency=concurrency))
    assert (job["state"], job["reason"]) == ("cancelled", "concurrency")
    assert job["detail"] == f"key {concurrency[0]['key']} is in use"
    release(node, *held)
    assert node.ended(node.submit(cmd="true", concurrency=concurrency))["state"] == "succeeded"


def test_fail(node: NodeProcess) -> None:
    concurrency = key_of(node, 1, "fail")
    held = hold(node, concurrency=concurrency)
    job = node.ended(node.submit(cmd="true", concurrency=concurrency))
    assert (job["state"], job["reason"]) == ("failed", "concurrency")
    assert node.job(held)["state"] == "running"
    release(node, held)


def test_cancel_running(node: NodeProcess) -> None:
    concurrency = key_of(node, 1, "cancel_running")
    first = hold(node, concurrency=concurrency)
    second = hold(node, concurrency=concurrency)
    job = node.ended(first)
    assert (job["state"], job["detail"]) == ("cancelled", "concurrency")
    third = node.submit(cmd="true", concurrency=concurrency)
    assert node.ended(third)["state"] == "succeeded"
    assert node.ended(second)["state"] == "cancelled"


def test_keys_of_the_input(node: NodeProcess) -> None:
    concurrency = [{"key": "user-${input.user}", "max": 1}]
    ann = hold(node, concurrency=concurrency, input={"user": "ann"})
    bob = hold(node, concurrency=concurrency, input={"user": "bob"})
    again = node.submit(cmd="true", concurrency=concurrency, input={"user": "ann"})
    assert node.job(again)["state"] == "waiting"
    with pytest.raises(Refused, match=r"the input has no .*input.user") as caught:
        node.submit(cmd="true", concurrency=concurrency, input={"name": "x"})
    assert caught.value.status == 422
    release(node, ann, bob)
    assert node.ended(again)["state"] == "succeeded"


# -- slots, priority


def test_priority_then_submission(node: NodeProcess) -> None:
    with all_slots(node) as held:
        low = node.submit(shell="sleep 0.02", priority=1)
        jobs = {
            p: [node.submit(shell="sleep 0.02", priority=p) for _ in range(2)] for p in (10, 90)
        }
        found = reasons(node, low)
        assert found["queue"]["message"] == "behind 4 jobs of higher priority"
        assert found["no_room"]["message"] == "no node has room for it now"
        (here,) = node.call("GET", f"/jobs/{low}/explain")["nodes"]
        (slots,) = here["reasons"]
        assert slots["message"].startswith(f"all {SLOTS} slots are in use (held by job ")
        assert slots["message"].endswith("and 1 more)")
        release(node, held.pop())
        order = [*jobs[90], *jobs[10], low]
        started = [node.ended(job_id)["started_at"] for job_id in order]
        assert started == sorted(started)


def test_one_without_room_holds_up_nobody(node: NodeProcess) -> None:
    cores = len(os.sched_getaffinity(0))
    whole = hold(node, resources={"cpu": cores})
    waiting = node.submit(cmd="true", resources={"cpu": 0.5}, priority=100)
    assert node.ended(node.submit(cmd="true", priority=1))["state"] == "succeeded"
    assert node.job(waiting)["state"] == "pending"
    (here,) = node.call("GET", f"/jobs/{waiting}/explain")["nodes"]
    assert here["reasons"] == [
        {
            "code": "cpu",
            "message": f"needs 0.5 cpu, 0 free (held by job {whole})",
            "permanent": False,
        }
    ]
    release(node, whole)
    assert node.ended(waiting)["state"] == "succeeded"


@pytest.mark.parametrize("what", ["cpu", "memory"])
def test_nothing_is_over_committed(node: NodeProcess, what: str) -> None:
    """Two fit side by side, and never a third."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    asked = {"cpu": len(os.sched_getaffinity(0)) / 2, "memory": memory * 2 // 5}[what]
    held = [hold(node, resources={what: asked}) for _ in range(2)]
    jobs = [node.submit(shell="sleep 0.05", resources={what: asked}) for _ in range(4)]
    (here,) = node.call("GET", f"/jobs/{jobs[0]}/explain")["nodes"]
    assert [(r["code"], r["permanent"]) for r in here["reasons"]] == [(what, False)]
    release(node, *held)
    ended = [node.ended(job_id) for job_id in jobs]
    assert {job["state"] for job in ended} == {"succeeded"}
    spans = [{"started_at": job["started_at"], "ended_at": job["finished_at"]} for job in ended]
    assert most_at_once(spans) <= 2


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"resources": {"cpu": 4096}}, "cpu", "needs 4096 cpu, "),
        ({"resources": {"memory": "1000TiB"}}, "memory", "needs 1048576000 MiB memory, "),
        ({"placement": {"labels": {"zone": "a"}}}, "label", "needs label zone=a, has none"),
        ({"placement": {"node": "elsewhere"}}, "node", "the job asks for node elsewhere"),
    ],
)
def test_what_no_node_can_run(
    node: NodeProcess, spec: dict[str, Any], code: str, message: str
) -> None:
    job_id = node.submit(cmd="true", **spec)
    assert node.job(job_id)["state"] == "pending"
    explained = node.call("GET", f"/jobs/{job_id}/explain")
    assert [r["message"] for r in explained["reasons"]] == ["no node takes such a job"]
    (reason,) = explained["nodes"][0]["reasons"]
    assert (reason["code"], reason["permanent"]) == (code, True)
    assert reason["message"].startswith(message)
    release(node, job_id)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "container", "image": "alpine:3.20", "command": ["true"]},
        {"type": "js", "code": "export function run() {}"},
    ],
)
def test_types_without_an_executor_stay_pending(node: NodeProcess, spec: dict[str, Any]) -> None:
    job_id = node.submit(**spec)
    assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"
    assert node.job(job_id)["state"] == "pending"
    reason = reasons(node, job_id)["executor"]
    assert reason["message"] == f"no executor for this type ({spec['type']}) on any node"
    release(node, job_id)
