"""`--stop-jobs` ends what runs, and nothing that only waits."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.node_process import NodeProcess, until


def test_what_waits_is_there_for_the_next_start(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "data", "--slots", "1", "--stop-jobs").start()
    try:
        runs = node.submit(shell="sleep 600")
        until(lambda: node.job(runs)["state"] == "running")
        queued = node.submit(shell="exit 0")
        later = node.submit(shell="exit 0", trigger={"delay": "1d"})
        began = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - began < 15
        node.start()
        assert node.job(runs)["state"] == "cancelled"
        assert node.ended(queued)["state"] == "succeeded"
        assert node.job(later)["state"] == "scheduled"
    finally:
        node.end()


def test_a_second_signal_ends_the_wait_for_a_job_that_takes_its_time(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "data", "--slots", "1", "--stop-jobs").start()
    try:
        runs = node.submit(shell="trap '' TERM; while :; do sleep 1; done", kill_grace="1h")
        until(lambda: node.job(runs)["state"] == "running")
        began = time.monotonic()
        node.signal_stop()
        time.sleep(1.0)
        assert node.stop() == 0
        assert time.monotonic() - began < 10
    finally:
        node.end()
