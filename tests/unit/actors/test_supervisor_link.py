"""What is under way when the link to the job supervisor breaks is not lost with it."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import pytest

from actors import addresses
from actors.core.supervisor_protocol import Output, SupervisorFrame
from actors.limits import MAILBOX_MESSAGES
from actors.model import keys
from actors.run_log import Forget
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


@pytest.mark.parametrize("harm", ["a crash", "a lost link"])
def test_the_log_of_an_attempt_is_kept_whenever_its_end_is_disturbed(harm: str) -> None:
    for steps in range(0, 120, 3):
        sim = started(2)
        job_id = submit(sim, with_(argv=("100:0",))).job_id
        attempt = keys.attempt(job_id, 0, 1)
        exits = sim.machine.supervisor.spool.exits
        assert sim.run_until(partial(operator.truth, exits), 5.0)
        assert exits[attempt].log_seq > 0
        for _ in range(100):  # the archive has other work to do
            sim.machine.host.tell(addresses.RUN_LOG, Forget("another"))
        for _ in range(steps):
            sim.step()
        if harm == "a crash":
            sim.crash()
            sim.run_until(lambda: False, 1.5)
        else:
            break_link(sim)
        assert sim.run_until(partial(operator.not_, exits), 30.0), f"not acknowledged ({steps})"
        assert state_of(sim, keys.job(job_id)) == "succeeded"
        assert attempt in sim.machine.job_logs.archived, f"its log is lost ({steps})"
        sim.run_until(lambda: False, 3.0)
        assert not sim.node.actor(addresses.slot(0)).attempt


def test_no_end_is_lost_in_a_flood_of_output() -> None:
    sim = started(2)
    port = sim.node._port
    take = port._on_frame

    def flood(frame: SupervisorFrame) -> None:
        """One read of the socket brings what a node that stood still has not read."""
        for n in range(2 * MAILBOX_MESSAGES):
            take(Output("attempt/another/00000/0001", n))
        take(frame)

    job_id = submit(sim, with_(argv=("100:0",))).job_id
    key = keys.job(job_id)
    assert sim.run_until(lambda: state_of(sim, key) == "running", 5.0)
    port._on_frame = flood
    assert sim.run_until(lambda: state_of(sim, key) == "succeeded", 30.0)
