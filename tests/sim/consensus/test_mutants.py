"""Each planted bug is seen: an invariant that catches nothing would hold whatever happens."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from tests.sim.consensus import mutants
from tests.sim.consensus.mutants import MUTANTS, Seen, hunt, rows_of_page
from tests.sim.consensus.profile import Profile
from tests.sim.consensus.world import Simulation

pytestmark = pytest.mark.timeout(400)  # of all: the first waits for the hunt
SEEDS = 150
QUORUM_SIZES = {1: 1, 3: 2, 5: 3}
PROFILES = {
    name: profile
    for name, profile in vars(mutants).items()
    if isinstance(profile, Profile) and profile.quorum_size == QUORUM_SIZES[profile.voters]
}


def _hunted(name: str) -> tuple[str, Seen | None]:
    return name, hunt(name, SEEDS)


def _checked(name: str) -> tuple[str, list[str]]:
    outcomes = (Simulation(seed, PROFILES[name]).run() for seed in range(5))
    return name, [f"seed {o.seed}: {o.text}" for o in outcomes if o.invariant]


@pytest.fixture(scope="module")
def hunted(pool: Pool) -> dict[str, Seen | None]:
    return dict(pool.map(_hunted, MUTANTS, chunksize=1))


@pytest.fixture(scope="module")
def checked(pool: Pool) -> dict[str, list[str]]:
    return dict(pool.map(_checked, PROFILES, chunksize=1))


@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_seen(name: str, hunted: dict[str, Seen | None]) -> None:
    assert hunted[name] is not None


@pytest.mark.parametrize("name", PROFILES)
def test_without_a_bug_nothing_is_seen(name: str, checked: dict[str, list[str]]) -> None:
    assert not checked[name]


def test_the_page_lists_them() -> None:
    listed = [(row[0], row[1]) for row in rows_of_page()]
    assert listed == [(name, mutant.what) for name, mutant in MUTANTS.items()]
