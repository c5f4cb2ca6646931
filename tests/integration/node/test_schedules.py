"""A real node that fires schedules, and is killed while it does."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.node_process import running, until


def test_a_schedule_goes_on_where_a_killed_node_left_it(tmp_path: Path) -> None:
    spec = {
        "name": "tick",
        "type": "command",
        "shell": 'echo "$JOBD_JOB_ID" >> ticks',
        "cwd": str(tmp_path),
        "trigger": {"cron": "* * * * * *", "overlap": "queue_all"},
    }
    with running(tmp_path / "data") as node:
        made = node.call("POST", "/jobs", spec)
        assert made["defined"] == "schedule/tick"
        until(lambda: node.call("GET", "/schedules/tick")["fires"] >= 1)
        time.sleep(1 - time.time() % 1)
        node.kill()
        node.start()
        until(lambda: node.call("GET", "/schedules/tick")["fires"] >= 4)
        schedule = node.call("POST", "/schedules/tick/pause")
        assert (schedule["missed"], schedule["skipped"]) == (0, 0)
        jobs = node.call("GET", "/jobs?limit=500")["items"]
        times = sorted(job["cause"]["id"] for job in jobs)
        assert len(set(times)) == len(times) == schedule["fires"]
        for job in jobs:
            assert node.ended(job["id"])["state"] == "succeeded"
        ran = (tmp_path / "ticks").read_text().split()
        assert sorted(ran) == sorted(job["id"] for job in jobs), "each ran once"
