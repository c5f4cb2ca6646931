"""An actor that has fallen off the feed finds everything in the state, as a new one would."""

from __future__ import annotations

from functools import partial
from typing import Any

from actors import addresses
from actors.core import session
from actors.core.view import View
from actors.model import keys
from tests.sim.node.machine import NODE
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import ask, started, state_of, submit, with_


def has_ended(sim: Simulation, job_id: str) -> bool:
    return state_of(sim, keys.job(job_id)) == "succeeded"


class Behind:
    """A view of which every look at the feed says that too much has happened."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def changes(self, after: int, limit: int) -> None:
        return None


def fall_behind(sim: Simulation) -> View:
    for address in (addresses.AGENT, addresses.HOME, addresses.SCHEDULER):
        sim.node.actor(address).view = Behind(sim.node.state)
    return sim.node.state


def test_jobs_run_and_are_cancelled() -> None:
    sim = started(3)
    fall_behind(sim)
    short = [submit(sim).job_id for _ in range(5)]
    for job_id in short:
        assert sim.run_until(partial(has_ended, sim, job_id), 20.0)
    long = submit(sim, with_(argv=("1000000:0",))).job_id
    assert sim.run_until(lambda: state_of(sim, keys.job(long)) == "running", 5.0)
    sim.run_until(lambda: False, 1.0)
    ask(sim, sim.node.gateway.cancel_job(long, "user", None))
    assert sim.run_until(lambda: state_of(sim, keys.job(long)) == "cancelled", 5.0)
    assert {row.restarts for row in sim.machine.host.inspect()} == {0}


def test_a_lost_session_is_replaced() -> None:
    sim = started(3)
    view = fall_behind(sim)
    before = view.get(keys.session(NODE))
    lost = session.end_session(view, NODE, "lost", sim.machine.host.clock.now_ms())
    ask(sim, sim.node.gateway._writer.write(lambda: lost))
    assert sim.run_until(lambda: view.get(keys.session(NODE)).noun.state == "up", 5.0)  # type: ignore[union-attr]
    assert view.get(keys.session(NODE)) != before
    assert sim.run_until(lambda: not sim.node.actor(addresses.AGENT).waits_for, 5.0)
