"""Scenarios that random runs hardly meet: those of the reference, and published bugs of others."""

from __future__ import annotations

from tests.sim.consensus.scenarios import SCENARIOS


def test_the_newest_accepted_value_is_chosen_not_the_newest_joined() -> None:
    SCENARIOS["single ballot"]()
