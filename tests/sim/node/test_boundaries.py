"""The node is killed, or loses its power, at every boundary of a command, a retry and a cancel."""

from __future__ import annotations

from functools import partial
from multiprocessing.pool import Pool

import pytest

from tests.sim.node.boundaries import SCENARIOS, live


def _crashes(boundary: int, again: int | None = None, *, name: str, power: bool) -> int:
    """Return how often the node died: at a boundary, and once more so many after it."""
    return live(SCENARIOS[name], kill_at=boundary, again=again, power=power).crashes


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_whatever_the_moment_nothing_is_lost_and_the_end_is_right(
    name: str, power: bool, pool: Pool
) -> None:
    calm = live(SCENARIOS[name], kill_at=None)
    assert calm.crashes == 0
    crashes = pool.map(partial(_crashes, name=name, power=power), range(1, calm.rested_at))
    for boundary, count in enumerate(crashes, 1):
        assert count == 1, f"nothing died at boundary {boundary}"


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_a_recovery_that_is_cut_short_is_done_again(power: bool, pool: Pool) -> None:
    firsts = range(3, live(SCENARIOS["success"], kill_at=None).rested_at, 17)
    moments = [(first, again) for first in firsts for again in range(1, 60, 4)]
    crashes = pool.starmap(partial(_crashes, name="success", power=power), moments)
    assert set(crashes) <= {1, 2}  # 1: it was at rest by then
