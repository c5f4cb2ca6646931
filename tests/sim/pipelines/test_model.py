"""The model checker's CI share: a sweep without a violation, and the planted bugs that it sees.

`python -m tests.sim.pipelines.search 0 100000` runs campaigns.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.pipelines.bugs import BUGS
from tests.sim.pipelines.search import run_seed
from tests.sim.pipelines.world import Violation

SEEDS = range(200)
SEEN = (  # what the schedules must come across, or they check nothing of it
    "conflict",
    "rerun",
    "taken over",
    "step succeeded",
    "step failed",
    "step omitted",
    "step skipped",
    "step cancelled",
    "run succeeded",
    "run succeeded_with_warnings",
    "run failed",
    "run cancelled",
)


def test_no_schedule_breaks_an_invariant() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        world = run_seed(seed)
        seen += world.counts
        for kind in ("step", "run"):
            seen.update(f"{kind} {e.noun.state}" for _, e in world.store.scan(f"{kind}/"))
    assert not [what for what in SEEN if not seen[what]]


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_seen(name: str) -> None:
    with BUGS[name].planted() as cut:
        for seed in range(150):
            try:
                run_seed(seed, cut)
            except Violation:
                return
    pytest.fail("no schedule saw it")
