"""The home of a run dies, or is cut off, while the run goes on: the others go on with it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from actors.core import dag
from actors.core.homes import ranks
from actors.core.pipeline_spec import pipeline_from_mapping
from actors.core.store.txn import Txn, absent
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.ids import make_id
from actors.model.pipeline import Pipeline
from actors.model.run import RUN_TERMINAL
from tests.sim.cluster.scenarios import _Cluster

_JOB = {"type": "command", "cmd": "400:0", "node_lost": "requeue"}
_STEPS = ("a", "b", "c", "d", "e", "f")
_PIPELINE = {
    "name": "p",
    "jobs": {
        name: {**_JOB, **({"needs": [_STEPS[i - 1]]} if i else {})} for i, name in enumerate(_STEPS)
    },
    "finally": {"z": _JOB},
}


class _Run(_Cluster):
    """A cluster on which a chain of six steps runs."""

    def __init__(self) -> None:
        super().__init__()
        self.run_id = make_id(self.host.true_ms, 7)
        spec = pipeline_from_mapping(_PIPELINE, now_ms=0).spec
        digest, ops = dag.define(spec)
        key = keys.pipeline("p")
        record = Pipeline(definition=digest, steps=len(spec.steps), updated_ms=0)

        def put(view: View, now_ms: int) -> Txn | None:
            if view.get(key) is not None:
                return None
            return Txn((absent(key),), (*ops, (key, encode(record))), now_ms=now_ms)

        def trigger(view: View, now_ms: int) -> Txn | None:
            if view.get(keys.run(self.run_id)) is not None:
                return None
            begun = dag.trigger(view, "p", run_id=self.run_id, inputs=None, now_ms=now_ms)
            return begun if isinstance(begun, Txn) else None

        self.clients._ask(put, lambda _: None)
        self.wait(lambda: self.monitor.truth.get(key) is not None, 10)
        self.run_for(0.5)  # every node has it
        self.clients._ask(trigger, lambda _: None)
        self.wait(lambda: self.state_of("b") == "running", 30)
        self.home = ranks(self.monitor.truth, tuple(self.machines), keys.run(self.run_id))[0]

    def state_of(self, name: str) -> str:
        entry = self.monitor.truth.get(keys.step(self.run_id, name))
        return entry.noun.state if entry is not None else ""

    @property
    def run(self) -> Any:
        entry = self.monitor.truth.get(keys.run(self.run_id))
        return entry.noun if entry is not None else None

    def require_end(self) -> None:
        self.wait(lambda: self.run.state in RUN_TERMINAL, 90)
        assert self.run.state == "succeeded", self.run.detail
        jobs = Counter(e.noun.step for _, e in self.monitor.truth.scan("job/"))
        assert jobs == Counter([*_STEPS, "z"])


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_the_others_go_on_with_a_run_whose_home_is_gone(power: bool) -> None:
    sim = _Run()
    sim.crash(sim.home, back_s=10_000, power=power)
    sim.require_end()


def test_a_home_that_is_cut_off_starts_nothing_twice() -> None:
    sim = _Run()
    sim.isolate(sim.home)
    sim.require_end()
