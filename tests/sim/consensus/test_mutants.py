"""Each planted bug is seen: an invariant that catches nothing would hold whatever happens."""

from __future__ import annotations

import pytest

from tests.sim.consensus import mutants
from tests.sim.consensus.mutants import MUTANTS, hunt, rows_of_page
from tests.sim.consensus.profile import Profile
from tests.sim.consensus.world import Simulation

SEEDS = 150
QUORUM_SIZES = {1: 1, 3: 2, 5: 3}
PROFILES = {
    name: profile
    for name, profile in vars(mutants).items()
    if isinstance(profile, Profile) and profile.quorum_size == QUORUM_SIZES[profile.voters]
}


@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_seen(name: str) -> None:
    assert hunt(name, SEEDS) is not None


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_without_a_bug_nothing_is_seen(name: str) -> None:
    for seed in range(5):
        outcome = Simulation(seed, PROFILES[name]).run()
        assert not outcome.invariant, f"seed {seed}: {outcome.text}"


def test_the_page_lists_them() -> None:
    listed = [(row[0], row[1]) for row in rows_of_page()]
    assert listed == [(name, mutant.what) for name, mutant in MUTANTS.items()]
