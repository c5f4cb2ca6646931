"""Small scopes, all of them or up to a bound: `scripts/sim --exhaustive` goes further."""

from __future__ import annotations

import pytest

from tests.sim.consensus.explorations import SCOPES, explore

WHOLE = {  # scope: how many states it has
    "3: 1 command, 1 recovery": 2_000,
    "3: 2 commands": 500,
    "3: 2 commands, 1 crash": 5_000,
}


@pytest.mark.parametrize("name", SCOPES)
def test_no_order_of_messages_breaks_an_invariant(name: str) -> None:
    found = explore(name)
    assert not found.invariant, found.text
    assert found.states >= WHOLE.get(name, SCOPES[name].states)
    assert found.is_whole == (name in WHOLE)
