"""A node that fires schedules is killed, or loses its power, at every boundary around a fire."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from actors.core.schedule.moment import fire_name
from actors.core.schedule.times import nominal_times
from actors.model import keys
from actors.model.recurrence import Catchup, Recurrence
from actors.model.schedule import Schedule
from actors.model.spec import JobSpec, NodeLost, Trigger
from jobd.api.gateway import RequestKey
from tests.sim.node.simulation import Simulation

_FIRED = 3
_EVERY = 17  # boundary of a kill; with 1, which takes half a minute, at each of them


def _spec(**recurrence: Any) -> JobSpec:
    wanted = Recurrence(**({"cron": ("* * * * * *",), "overlap": "allow"} | recurrence))
    return JobSpec(
        name="s",
        type="command",
        argv=("5:0",),
        trigger=Trigger(recurrence=wanted),
        node_lost=NodeLost(0, "requeue"),
    )


def started(spec: JobSpec) -> Simulation:
    sim = Simulation(1)
    sim.machine.schedules = True
    sim.reboot_s = lambda: 0.05
    sim.boot()
    assert sim.run_until(lambda: sim.node.is_ready, 10.0)
    request = RequestKey("me", "k", "b")
    answers: list[Any] = []
    sim.node.loop.start(
        sim.node.gateway.schedules.define(spec, principal="me", request=request), answers.append
    )
    assert sim.run_until(lambda: bool(answers), 10.0)
    return sim


def record(sim: Simulation) -> Schedule:
    entry = sim.node.state.get(keys.schedule("s"))
    assert entry is not None
    noun: Schedule = entry.noun
    return noun


def fires_so_far(sim: Simulation) -> int:
    return record(sim).fires if sim.machine.node is not None else 0


def until_fired(sim: Simulation) -> bool:
    return sim.run_until(lambda: fires_so_far(sim) >= _FIRED, 20.0)


def check(sim: Simulation) -> None:
    """Each nominal time up to the cursor is one job."""
    assert sim.run_until(lambda: not sim.monitor.leftover(), 60.0), sim.monitor.leftover()
    had = Counter(
        entry.noun.cause.id for _, entry in sim.node.state.scan("job/") if entry.noun.cause
    )
    schedule = record(sim)
    wanted = []
    for nominal_ms in nominal_times(schedule.recurrence, "s", schedule.created_ms):
        if nominal_ms > schedule.cursor_ms:
            break
        wanted.append(fire_name("s", nominal_ms))
    assert had == Counter(wanted)
    assert schedule.fires == len(wanted)


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_whatever_the_moment_of_a_kill_each_fire_is_one_job(power: bool) -> None:
    sim = started(_spec())
    first = sim.boundaries
    until_fired(sim)
    last = sim.boundaries
    assert sim.crashes == 0
    for boundary in range(first + 1, last, _EVERY):
        sim = started(_spec())
        sim.kill_at, sim.kill_with_power = boundary, power
        assert until_fired(sim)
        assert sim.crashes == 1, f"nothing died at boundary {boundary}"
        check(sim)


@pytest.mark.parametrize(("mode", "fires"), [("none", 0), ("last", 1), ("all", 4)])
def test_a_laptop_that_slept_does_what_catchup_says(mode: Any, fires: int) -> None:
    sim = started(_spec(cron=("0 * * * *",), catchup=Catchup(mode), overlap="allow"))
    until_ms = record(sim).next_ms - sim.machine.host.clock.now_ms()
    sim.machine.host.clock.step_ms += until_ms + 3 * 3_600_000 + 120_000  # the clock alone
    sim.machine.host.run_for(8.0)
    assert (record(sim).fires, record(sim).missed) == (fires, 4 - fires)
    sim.machine.host.clock.step_ms -= 7 * 3_600_000  # and back: nothing is done twice
    sim.machine.host.run_for(30.0)
    assert (record(sim).fires, record(sim).missed) == (fires, 4 - fires)
