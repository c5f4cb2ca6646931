"""Mailboxes outlive their actors: what an instance finds of the one before it does no harm."""

from __future__ import annotations

import pytest

from actors import addresses
from actors.core.supervisor_protocol import Listing, Welcome
from actors.executor_slot import SlotFree
from actors.model import keys
from actors.supervisor_link import HeldNow, SupervisorReady
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import state_of, submit

BEFORE = "attempt/01hf7yat206banwvss5x221pg8/00000/0001"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (addresses.SCHEDULER, SlotFree(0, BEFORE)),
        (addresses.SUPERVISOR, Listing(())),
        (addresses.AGENT, SupervisorReady(Welcome(1, "before", "boot", "none", 1), ())),
        (addresses.slot(0), HeldNow(BEFORE, None, "before", 1, masks=True)),
    ],
)
def test_a_message_of_before_crashes_and_allows_nothing(address: str, message: object) -> None:
    sim = Simulation(1)
    sim.boot()
    sim.machine.host.tell(address, message)
    while not sim.node.actor(addresses.AGENT)._session:
        assert not sim.node.is_ready
        assert sim.node.actor(addresses.SCHEDULER)._claim_as is None
        assert sim.step()
    assert sim.run_until(lambda: sim.node.is_ready, 5.0)
    job_id = submit(sim).job_id
    assert sim.run_until(lambda: state_of(sim, keys.job(job_id)) == "succeeded", 5.0)
    assert {row.restarts for row in sim.machine.host.inspect()} == {0}
