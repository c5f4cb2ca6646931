"""Each planted bug is seen: an invariant that catches nothing would hold whatever happens."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from tests.sim.node.bugs import BUGS, hunt

pytestmark = pytest.mark.timeout(400)  # of all: the first waits for the hunt
SEEDS = 300


def _hunted(name: str) -> tuple[str, str]:
    return name, hunt(BUGS[name], SEEDS)


@pytest.fixture(scope="module")
def hunted(pool: Pool) -> dict[str, str]:
    return dict(pool.imap_unordered(_hunted, BUGS))


@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name: str, hunted: dict[str, str]) -> None:
    assert hunted[name]
