"""The node is killed, or loses its power, at every boundary of a command, a retry and a cancel."""

from __future__ import annotations

import pytest

from tests.sim.node.boundaries import SCENARIOS, live


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_whatever_the_moment_nothing_is_lost_and_the_end_is_right(name: str, power: bool) -> None:
    scenario = SCENARIOS[name]
    calm = live(scenario, kill_at=None)
    assert calm.crashes == 0
    for boundary in range(1, calm.rested_at):
        killed = live(scenario, kill_at=boundary, power=power)
        assert killed.crashes == 1, f"nothing died at boundary {boundary}"


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_a_recovery_that_is_cut_short_is_done_again(power: bool) -> None:
    scenario = SCENARIOS["success"]
    for first in range(3, live(scenario, kill_at=None).rested_at, 17):
        for again in range(1, 60, 4):
            killed = live(scenario, kill_at=first, again=again, power=power)
            assert killed.crashes in (1, 2)  # 1: it was at rest by then
