"""The scenarios as they are, and each planted bug in the one that sees it."""

from __future__ import annotations

from functools import partial

import pytest

from actors.core import job
from tests.sim.cluster.bugs import BUGS, hunt
from tests.sim.cluster.scenarios import SCENARIOS


@pytest.fixture(autouse=True)
def brief_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ended jobs evicted within a scenario."""
    monkeypatch.setattr(job, "Retention", partial(job.Retention, keep_s=20))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cluster_keeps_its_promises(name: str) -> None:
    SCENARIOS[name]()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_seen(name: str) -> None:
    assert hunt(BUGS[name]), f"{BUGS[name].what}: not seen by {BUGS[name].scenario}"
