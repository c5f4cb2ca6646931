"""The model checker's CI share: a sweep without a violation, and the planted bugs that it sees."""

from __future__ import annotations

from tests.sim.pipelines.search import run_seed


def test_no_schedule_breaks_an_invariant() -> None:
    for seed in range(400):
        run_seed(seed)
