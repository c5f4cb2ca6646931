"""Retries, timeouts and times to come."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node_process import NodeProcess, running, until

STUBBORN = "trap '' TERM; while :; do sleep 1; done"


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def waits(node: NodeProcess, job_id: str) -> list[float]:
    """Seconds from the end of each attempt to the start of the next."""
    attempts = node.call("GET", f"/jobs/{job_id}/attempts")["items"]
    return [moment(b["started_at"]) - moment(a["ended_at"]) for a, b in pairwise(attempts)]


def test_retries_wait_as_the_backoff_says(node: NodeProcess) -> None:
    retry = {
        "max_attempts": 4,
        "backoff": "exponential",
        "delay_ms": 100,
        "max_delay_ms": 300,
        "jitter": "none",
    }
    script = (
        "test $JOBD_ATTEMPT -ge 4; code=$?; echo $JOBD_ATTEMPT $CLOUD_RUN_TASK_ATTEMPT; exit $code"
    )
    job_id = node.submit(shell=script, retry=retry)
    job = node.ended(job_id)
    assert (job["state"], job["attempt"], job["exit_code"]) == ("succeeded", 4, 0)
    for waited, least in zip(waits(node, job_id), (0.1, 0.2, 0.3), strict=True):
        assert least <= waited < least + 1
    texts = [node.logs(job_id, attempt=n)[0]["text"] for n in (1, 2, 3, 4)]
    assert texts == ["1 0\n", "2 1\n", "3 2\n", "4 3\n"]
    types = [event["type"] for event in node.call("GET", f"/jobs/{job_id}/events")["items"]]
    assert types.count("jobd:job:retrying") == 3
    assert types[-1] == "jobd:job:completed"


def test_what_is_not_tried_again(node: NodeProcess) -> None:
    final = node.submit(shell="exit 2", retry={"max_attempts": 3, "no_retry_exit": [2]})
    other = node.submit(shell="exit 3", retry={"max_attempts": 3, "retry_on": ["timeout", "oom"]})
    seed = node.submit(
        shell="exit 1", on_failure={"type": "retry", "max_attempts": 2, "backoff_ms": 10}
    )
    assert [node.ended(j)["attempt"] for j in (final, other, seed)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"timeout_ms": 200, "kill_grace_ms": 100}, "timeout"),
        ({"idle_timeout_ms": 300, "shell": "echo; exec sleep 60"}, "idle_timeout"),
        ({"total_timeout_ms": 300}, "timeout"),
        ({"timeout_ms": 100, "kill_grace_ms": 100, "shell": STUBBORN}, "timeout"),
    ],
)  # fmt: skip
def test_a_job_that_takes_too_long(node: NodeProcess, spec: dict[str, Any], reason: str) -> None:
    began = time.monotonic()
    job = node.ended(node.submit(**{"shell": "sleep 60", **spec}))
    assert (job["state"], job["reason"]) == ("failed", reason)
    assert time.monotonic() - began < 5


def test_output_keeps_the_idle_timeout_away(node: NodeProcess) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.1; done"
    assert node.ended(node.submit(shell=script, idle_timeout_ms=1_000))["state"] == "succeeded"


def test_a_timeout_is_tried_again_until_the_total(node: NodeProcess) -> None:
    job = node.ended(
        node.submit(
            shell="sleep 60",
            timeout_ms=100,
            total_timeout_ms=600,
            retry={"max_attempts": 100, "delay_ms": 50, "jitter": "none", "backoff": "constant"},
        )
    )
    assert (job["state"], job["reason"]) == ("failed", "timeout")
    assert 2 <= job["attempt"] <= 5


def test_no_slot_in_time(node: NodeProcess) -> None:
    """`schedule_timeout` is a failed attempt and may be tried again; `expires` is final."""
    nowhere = {"labels": {"zone": "nowhere"}}
    retry = {"max_attempts": 2, "delay_ms": 0}
    began = time.monotonic()
    late = node.submit(cmd="true", placement=nowhere, schedule_timeout_ms=100, retry=retry)
    expired = node.submit(cmd="true", placement=nowhere, expires_ms=100, retry=retry)
    job = node.ended(late)
    assert (job["state"], job["reason"], job["detail"]) == (
        "failed", "schedule_timeout", "found no node in time",
    )  # fmt: skip
    assert job["attempt"] == 0
    job = node.ended(expired)
    assert time.monotonic() - began < 5
    assert (job["state"], job["reason"]) == ("expired", "expired")
    assert job["detail"] == "not started in time"
    events = node.call("GET", f"/jobs/{expired}/events")["items"]
    assert events[-1]["type"] == "jobd:job:expired"


def test_at_and_delay(node: NodeProcess) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=0.6)).isoformat()
    dated = node.submit(cmd="true", trigger={"at": at})
    delayed = node.submit(cmd="true", trigger={"delay_ms": 300})
    past = node.submit(cmd="true", trigger={"at": "2020-01-01T00:00:00Z"})
    due: dict[str, float] = {}
    for job_id in (dated, delayed):
        job = node.job(job_id)
        assert (job["state"], job["started_at"]) == ("scheduled", None)
        due[job_id] = moment(job["due_at"])
        (reason,) = node.call("GET", f"/jobs/{job_id}/explain")["reasons"]
        assert (reason["code"], reason["message"]) == ("trigger", "waits until its time comes")
    assert node.ended(past)["state"] == "succeeded"
    for job_id in (dated, delayed):
        job = node.ended(job_id)
        assert job["state"] == "succeeded"
        assert 0 <= moment(job["started_at"]) - due[job_id] < 1


def test_times_to_come_survive_kill_9(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node:
        overdue = node.submit(cmd="true", trigger={"delay_ms": 700})
        ahead = node.submit(cmd="true", trigger={"delay_ms": 3_000})
        far = node.submit(cmd="true", trigger={"delay": "1h"})
        retry = {"max_attempts": 2, "delay_ms": 1_000, "jitter": "none"}
        retried = node.submit(shell="test $JOBD_ATTEMPT = 2", retry=retry)
        until(lambda: node.job(retried)["reason"] == "exit")
        due = {job_id: node.job(job_id)["due_at"] for job_id in (overdue, ahead, far, retried)}
        node.kill()
        time.sleep(0.7)
        node.start()
        for job_id in (overdue, retried, ahead):
            job = node.ended(job_id)
            assert job["state"] == "succeeded"
            assert moment(job["finished_at"]) >= moment(due[job_id])
        assert node.job(far)["state"] == "scheduled"
        assert node.job(far)["due_at"] == due[far]
