"""Small scopes, all of them or up to a bound: `scripts/sim --exhaustive` goes further."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from tests.sim.consensus.explorations import SCOPES, Found, explore

pytestmark = pytest.mark.timeout(400)  # of all: the first waits for the search
WHOLE = {  # scope: how many states it has
    "3: 1 command, 1 recovery": 1_500,
    "3: 2 commands": 500,
    "3: 2 commands, 1 crash": 5_000,
}


@pytest.fixture(scope="module")
def explored(pool: Pool) -> dict[str, Found]:
    return dict(zip(SCOPES, pool.map(explore, SCOPES, chunksize=1), strict=True))


@pytest.mark.parametrize("name", SCOPES)
def test_no_order_of_messages_breaks_an_invariant(name: str, explored: dict[str, Found]) -> None:
    found = explored[name]
    assert not found.invariant, found.text
    assert found.states >= WHOLE.get(name, SCOPES[name].states)
    assert found.is_whole == (name in WHOLE)
