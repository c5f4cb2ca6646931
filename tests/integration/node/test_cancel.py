"""Cancelling jobs, in whatever they are doing."""

from __future__ import annotations

import time

import pytest

from tests.integration.node_process import NodeProcess, Refused, until


def cancel(node: NodeProcess, job_id: str, reason: str = "not wanted") -> None:
    node.call("POST", f"/jobs/{job_id}/cancel", {"reason": reason})


def test_before_it_runs(node: NodeProcess) -> None:
    scheduled = node.submit(cmd="true", trigger={"delay": "1h"})
    pending = node.submit(cmd="true", placement={"labels": {"zone": "nowhere"}})
    for job_id in (scheduled, pending):
        cancel(node, job_id)
        job = node.job(job_id)
        assert (job["state"], job["reason"], job["detail"]) == (
            "cancelled", "cancelled", "not wanted",
        )  # fmt: skip
        assert (job["attempt"], job["started_at"]) == (0, None)


def test_its_processes_get_their_grace(node: NodeProcess) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    polite = node.submit(shell=script, kill_grace="20s")
    until(lambda: node.logs(polite))
    began = time.monotonic()
    cancel(node, polite)
    job = node.ended(polite)
    assert (job["state"], job["reason"], job["detail"]) == ("cancelled", "cancelled", "not wanted")
    assert time.monotonic() - began < 5
    assert [r["text"] for r in node.logs(polite) if r["stream"] == "stdout"] == [
        "ready\n", "bye\n",
    ]  # fmt: skip
    (attempt,) = node.call("GET", f"/jobs/{polite}/attempts")["items"]
    assert attempt["outcome"] == "cancelled"


def test_those_who_ignore_it_are_killed(node: NodeProcess) -> None:
    script = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo ready; wait"
    stubborn = node.submit(shell=script, kill_grace_ms=300)
    until(lambda: node.logs(stubborn))
    began = time.monotonic()
    cancel(node, stubborn)
    until(lambda: node.job(stubborn)["cancel_requested"])
    (reason,) = node.call("GET", f"/jobs/{stubborn}/explain")["reasons"]
    assert reason["code"] == "stopping"
    assert "its end was asked for (not wanted)" in reason["message"]
    job = node.ended(stubborn)
    assert (job["state"], job["signal"]) == ("cancelled", 9)
    assert 0.25 < time.monotonic() - began < 5


def test_the_kill_signal_is_the_specs(node: NodeProcess) -> None:
    script = "trap 'echo usr1; exit 0' USR1; echo ready; while :; do sleep 0.05; done"
    job_id = node.submit(shell=script, kill_signal="SIGUSR1")
    until(lambda: node.logs(job_id))
    cancel(node, job_id)
    assert node.ended(job_id)["state"] == "cancelled"
    assert node.logs(job_id, stream="stdout")[-1]["text"] == "usr1\n"


def test_a_cancel_ends_the_retries(node: NodeProcess) -> None:
    job_id = node.submit(shell="exit 1", retry={"max_attempts": 9, "delay": "1h"})
    until(lambda: node.job(job_id)["state"] == "scheduled")
    (reason,) = node.call("GET", f"/jobs/{job_id}/explain")["reasons"]
    assert reason["code"] == "backoff"
    assert reason["message"] == "waits to try again after failure 1 (exit)"
    cancel(node, job_id)
    assert (node.job(job_id)["state"], node.job(job_id)["attempt"]) == ("cancelled", 1)


def test_twice_and_too_late(node: NodeProcess) -> None:
    """A cancel of what has ended changes nothing; a stale If-Match is refused."""
    job_id = node.submit(cmd="true")
    ended = node.ended(job_id)
    cancel(node, job_id)
    cancel(node, job_id)
    assert node.job(job_id) == ended
    waiting = node.submit(cmd="true", trigger={"delay": "1h"})
    revision = node.job(waiting)["revision"]
    for stale in ('"1"', "W/1"):
        with pytest.raises(Refused) as caught:
            node.call("POST", f"/jobs/{waiting}/cancel", {}, {"If-Match": stale})
        assert caught.value.status in (400, 412)
    node.call("POST", f"/jobs/{waiting}/cancel", {}, {"If-Match": f'"{revision}"'})
    assert node.job(waiting)["state"] == "cancelled"


def test_a_retry_is_a_new_job(node: NodeProcess) -> None:
    first = node.submit(shell="exit 3", trigger={"delay_ms": 50})
    with pytest.raises(Refused) as caught:
        node.call("POST", f"/jobs/{first}/retry")
    assert caught.value.status == 409
    assert node.ended(first)["state"] == "failed"
    second = node.call("POST", f"/jobs/{first}/retry")["id"]
    job = node.ended(second)
    assert (job["retry_of"], job["exit_code"]) == (first, 3)
    assert node.job(first)["state"] == "failed"
