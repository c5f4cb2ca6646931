"""Each planted bug is seen: an invariant that catches nothing would hold whatever happens."""

from __future__ import annotations

import pytest

from tests.sim.node.bugs import BUGS, hunt

SEEDS = 300


@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name: str) -> None:
    assert hunt(BUGS[name], SEEDS)
