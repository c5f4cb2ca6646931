"""The wall clock is set an hour forth and back while a node works."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.node_process import NodeProcess, Refused, until
from tests.sim.node.simulation import Simulation
from tests.sim.node.workload import draw_spec

HOUR_MS = 3_600_000
SPEC = {"name": "test", "type": "command", "cmd": "true"}


class SteppedNode(NodeProcess):
    """A real node whose clock can be set."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, "--slots", "4")
        self._offset = data.parent / "offset"
        self.step(0)
        self.program = ("-m", "tests.integration.bad_input.stepped", str(self._offset))

    def step(self, ms: int) -> None:
        """Set the clock: so many ms off the real one."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(ms))
        os.replace(new, self._offset)  # noqa: PTH105


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SteppedNode]:
    started = SteppedNode(tmp_path / "data")
    try:
        started.start()
        yield started
        assert "Traceback" not in started.log()
    finally:
        started.end()


def works(node: SteppedNode) -> bool:
    """Say whether a job goes through, with a retry on its way."""
    retry = {"max_attempts": 2, "delay_ms": 20, "jitter": "none"}
    job = node.ended(node.submit(shell="echo x; test $JOBD_ATTEMPT = 2", retry=retry))
    return (job["state"], job["attempt"]) == ("succeeded", 2)


def test_an_hour_forth_and_back(node: SteppedNode) -> None:
    made = node.call("POST", "/jobs", SPEC)
    keyed = made["idempotency_key"]
    before = node.submit(shell="echo kept; echo 1 >$JOBD_OUTPUT")
    node.ended(before)
    running = node.submit(shell="while ! test -e go; do sleep 0.05; done; echo ran", timeout="10m",
                          idle_timeout="10m", cwd=str(node.data.parent))  # fmt: skip
    until(lambda: node.job(running)["state"] == "running")
    later = node.submit(cmd="true", trigger={"delay": "30m"})
    much_later = node.submit(cmd="true", trigger={"delay": "5h"})

    node.step(HOUR_MS)
    assert works(node)
    # Its time has come by the clock; what measures durations isn't moved by it.
    assert node.ended(later)["state"] == "succeeded"
    assert node.job(running)["state"] == "running"
    assert node.job(much_later)["state"] == "scheduled"
    time.sleep(1.2)  # a round of retention
    assert node.call("GET", f"/jobs/{before}/output") == 1
    ahead = node.submit(cmd="true")
    node.ended(ahead)
    # A repeat with the key of before is still the job of before.
    assert node.call("POST", "/jobs", SPEC, {"Idempotency-Key": keyed}) == made

    node.step(0)
    assert works(node)
    with pytest.raises(Refused, match="ahead of this node's clock") as caught:
        node.call("DELETE", f"/jobs/{ahead}")
    assert caught.value.status == 409
    assert caught.value.body["remedy"].startswith("its clock was set back: ")

    node.step(-HOUR_MS)
    assert works(node)
    (node.data.parent / "go").touch()
    assert node.ended(running)["state"] == "succeeded"
    assert [r["text"] for r in node.logs(running)] == ["ran\n"]
    for job_id in (before, later, ahead):
        assert node.job(job_id)["state"] == "succeeded"
    node.kill()
    node.start()  # with the clock still behind what the log says
    assert works(node)
    assert node.call("GET", f"/jobs/{before}/output") == 1
    assert node.job(much_later)["state"] == "scheduled"


def test_ids_of_closed_times_are_not_minted(node: SteppedNode) -> None:
    """A delete closes the ten seconds of an id; a clock that comes back to them finds others."""
    node.step(-20_000)
    old = node.submit(cmd="true")
    node.ended(old)
    node.step(0)
    node.call("DELETE", f"/jobs/{old}")
    node.step(-20_000)
    made = [node.submit(cmd="true") for _ in range(5)]
    assert all(node.ended(job_id)["state"] == "succeeded" for job_id in made)
    assert min(made) > old


@pytest.mark.parametrize("seed", range(4))
def test_any_steps_in_simulation(seed: int) -> None:
    """Home, scheduler, slots and store under a workload, with the clock set at random moments."""
    sim = Simulation(seed)
    sim.boot()
    for step_ms in (0, HOUR_MS, 0, -HOUR_MS, HOUR_MS):  # at the end all that is due has come
        sim.machine.host.clock.step_ms = step_ms
        for number in range(3):
            sim.clients.submit(draw_spec(sim.rng, number), sim.clients.draw_key())
        sim.run_until(lambda: False, 3.0)
    sim.rest()
