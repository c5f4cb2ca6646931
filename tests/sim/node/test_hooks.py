"""The node is killed, or loses its power, while events start jobs and are sent.

Whatever the moment: each event starts one job, and its delivery arrives, under one id, at least
once and at most once more for each death.
"""

from __future__ import annotations

import random

import pytest

from actors import addresses
from actors.core.spec.hook import parse_hook
from actors.core.spec.trigger_document import TriggerSpec
from actors.core.trigger.deliveries import webhook_id
from actors.model import keys
from actors.model.spec import JobSpec, NodeLost
from actors.model.target import Target
from actors.model.trigger import EventSource
from tests.sim.node.monitor import need
from tests.sim.node.receiver import SimReceiver
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import ask

EVENTS = 2
STRIDE = 13  # every boundary was tried, 1 here is that again
SPEC = JobSpec(name="t", type="command", argv=("20:0",), node_lost=NodeLost(0, "requeue"))


def prepared(seed: int) -> Simulation:
    """A node with a trigger `t` and a hook `h`, both on `order:*`, from before anything dies."""
    sim = Simulation(seed)
    sim.machine.receiver = SimReceiver(sim.machine.host, random.Random(f"{seed}/receiver"))
    sim.reboot_s = lambda: 0.05
    sim.boot()
    sim.run_until(lambda: sim.node.is_ready, 10.0)
    source, target = EventSource(("order:*",)), Target("job", "t")
    hooks = sim.node.gateway.hooks
    spec = TriggerSpec(source, None, target, "", SPEC, {})
    put = ask(sim, hooks.put_trigger("t", spec, principal="me"))
    assert isinstance(put, int), put
    hook = parse_hook(b"{on: 'order:*', webhook: {url: https://e.com}}", now_ms=0, name="h")
    put = ask(sim, hooks.put_hook(hook, principal="me"))
    assert isinstance(put, int), put
    return sim


def live(
    seed: int, *, kill_at: int | None = None, power: bool = False, fails: int = 0
) -> tuple[Simulation, int]:
    """Emit events, killed so many boundaries later; require what must hold at the end."""
    sim = prepared(seed)
    receiver = sim.machine.receiver
    assert receiver is not None
    receiver.fails = fails
    begun = sim.boundaries
    sim.kill_at = None if kill_at is None else begun + kill_at
    sim.kill_with_power = power
    emitted: list[str] = []
    for number in range(EVENTS):
        sim.clients.emit("order:made", {"n": number}, emitted.append)

    def done() -> bool:
        if len(set(emitted)) < EVENTS or sim.machine.node is None:
            return False
        state = sim.node.state
        there = {entry.noun.event.id: entry.noun for _, entry in state.scan("delivery/")}
        sent = all(id_ in there and there[id_].state == "delivered" for id_ in emitted)
        return sent and state.count("job") >= EVENTS

    need(sim.run_until(done, 600.0), "N-n", "not all was sent and started")
    sim.rest()
    jobs = [entry.noun for _, entry in sim.node.state.scan("job/")]
    causes = sorted(job.cause.id for job in jobs)
    need(causes == sorted(set(emitted)), "N-p", f"{causes} started for {emitted}")
    for key, _ in sim.node.state.scan("delivery/"):
        times = receiver.came[webhook_id(key)]
        need(1 + fails <= times <= 1 + fails + sim.crashes, "N-q", f"{key} came {times} times")
        need(len(receiver.bodies[webhook_id(key)]) == 1, "N-q", f"{key} had two bodies")
    for address in (addresses.TRIGGERS, addresses.HOOKS):
        need(sim.node.actor(address).repairs == 0, "N-j", f"{address} repaired")
    return sim, sim.rested_at - begun


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_whatever_the_moment_an_event_starts_one_job_and_is_delivered(power: bool) -> None:
    _, boundaries = live(1)
    for boundary in range(1 + power, boundaries, STRIDE):
        sim, _ = live(1, kill_at=boundary, power=power)
        assert sim.crashes == 1, f"nothing died at boundary {boundary}"


def test_a_receiver_that_fails_gets_it_later_though_the_node_dies_between() -> None:
    _, boundaries = live(2, fails=2)
    for boundary in range(1, boundaries, 5 * STRIDE):
        live(2, kill_at=boundary, fails=2)


def test_an_event_of_the_past_is_found_by_a_node_that_was_away() -> None:
    sim = prepared(3)
    emitted: list[str] = []
    sim.clients.emit("order:made", {}, emitted.append)
    sim.run_until(lambda: bool(emitted), 10.0)
    sim.crash(power=True)
    need(
        sim.run_until(lambda: sim.machine.node is not None and sim.node.is_ready, 30.0),
        "N-n",
        "it does not come back",
    )
    need(sim.run_until(lambda: sim.node.state.count("job") == 1, 30.0), "N-p", "no job")
    entry = sim.node.state.get(keys.trigger("t"))
    assert entry is not None
    assert entry.noun.fires == 1
