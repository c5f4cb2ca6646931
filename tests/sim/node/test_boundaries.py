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
