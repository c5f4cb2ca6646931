"""What is under way when the link to the job supervisor breaks is not lost with it."""

from __future__ import annotations

from typing import Any

import pytest

from actors import addresses
from actors.model import keys
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import started, state_of, submit, with_

LONG = with_(argv=("1000000:0",))


def break_link(sim: Simulation) -> None:
    """The connection ends; node and job supervisor go on."""
    supervisor = sim.machine.supervisor
    (connection,) = supervisor._connections.values()
    connection.dead = True
    supervisor.disconnected(connection)
    connection._port.lost(connection)


def job_of(sim: Simulation, job_id: str) -> Any:
    entry = sim.node.state.get(keys.job(job_id))
    assert entry is not None
    return entry.noun


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_that_was_lost_with_the_link_is_sent_again(seed: int) -> None:
    sim = started(seed)
    job_id = submit(sim, LONG).job_id
    key = keys.job(job_id)
    assert sim.run_until(lambda: state_of(sim, key) == "running", 5.0)
    sim.run_until(lambda: False, 1.0)
    sim.node.loop.start(sim.node.gateway.cancel_job(job_id, "user", None), lambda _: None)
    assert sim.run_until(lambda: job_of(sim, job_id).cancel_ms > 0, 5.0)
    break_link(sim)
    assert sim.run_until(lambda: state_of(sim, key) == "cancelled", 30.0)
    assert sim.run_until(lambda: not sim.node.actor(addresses.slot(0)).attempt, 5.0)
