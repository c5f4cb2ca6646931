"""The node is killed, or loses its power, while a pipeline runs: no step twice, no run stuck."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from actors import addresses
from actors.core.pipeline_spec import pipeline_from_mapping
from actors.model import keys
from actors.model.run import RUN_TERMINAL, Run
from jobd.api.gateway import RequestKey
from tests.sim.node.simulation import Simulation
from tests.sim.node.workload import _Request

_JOB = {"type": "command", "cmd": "10:0", "node_lost": "requeue"}
_PIPELINE = {
    "name": "p",
    "jobs": {
        "a": _JOB,
        "b": {**_JOB, "needs": ["a"], "map": {"over": [1, 2, 3], "parallelism": 2}},
        "c": {**_JOB, "cmd": "10:1", "needs": ["a"], "continue_on_failure": True},
        "d": {**_JOB, "needs": ["b", "c"]},
    },
    "finally": {"e": _JOB},
}


class _Life:
    """One run from its trigger to its end, killed at a boundary."""

    def __init__(self, kill_at: int | None, *, power: bool = False) -> None:
        self.sim = sim = Simulation(1)
        sim.kill_at, sim.kill_with_power = kill_at, power
        sim.reboot_s = lambda: 0.05
        self.run_id = ""
        sim.boot()
        read = pipeline_from_mapping(_PIPELINE, now_ms=0)
        self._ask(lambda gateway: gateway.pipelines.put(read, principal="me"))
        request = RequestKey("me", "one", "hash")
        self._ask(
            lambda gateway: gateway.pipelines.trigger("p", {}, principal="me", request=request),
            self._begun,
        )
        assert sim.run_until(lambda: bool(self.run_id), 60.0), "the trigger is answered"
        assert sim.run_until(lambda: self.is_over, 120.0), "the run ends"
        sim.rested_at, sim.kill_at = sim.boundaries, None

    def _ask(self, send: Any, done: Any = lambda answer: None) -> None:
        clients = self.sim.clients
        asked: list[object] = []

        def answered(answer: Any) -> None:
            asked.append(answer)
            done(answer)

        clients._send(_Request(send, answered, again=True))
        assert self.sim.run_until(lambda: bool(asked), 60.0)

    def _begun(self, answer: Any) -> None:
        self.run_id = answer[1]

    @property
    def run(self) -> Run | None:
        node = self.sim.machine.node
        entry = node.state.get(keys.run(self.run_id)) if node is not None else None
        return entry.noun if entry is not None else None

    @property
    def is_over(self) -> bool:
        return self.run is not None and self.run.state in RUN_TERMINAL

    def check(self) -> None:
        assert self.run is not None
        assert self.run.state == "succeeded_with_warnings", self.run.detail
        state = self.sim.node.state
        jobs = Counter(e.noun.step for _, e in state.scan("job/") if e.noun.run == self.run_id)
        assert jobs == Counter(["a", "b/0", "b/1", "b/2", "c", "d", "e"])
        assert self.sim.node.actor(addresses.RUNS).repairs == 0
        self.sim.monitor.derived()


def test_a_run_ends_as_its_steps_do() -> None:
    life = _Life(None)
    life.check()
    assert life.sim.crashes == 0


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_whatever_the_moment_each_step_is_started_once(power: bool) -> None:
    boundaries = _Life(None).sim.rested_at
    step = 37 if power else 23
    for boundary in range(1, boundaries, step):
        life = _Life(boundary, power=power)
        life.check()
        assert life.sim.crashes == 1, f"nothing died at boundary {boundary}"
