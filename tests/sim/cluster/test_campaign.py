"""A slice of the campaign: clusters under random faults, and the same seed is the same run."""

from __future__ import annotations

from collections import Counter

from tests.sim.cluster.simulation import run_seed

_THREE = range(3000, 3008)
_FIVE = range(5000, 5002)


def test_clusters_survive_their_faults() -> None:
    coverage: Counter[str] = Counter()
    for seed, size in [*((s, 3) for s in _THREE), *((s, 5) for s in _FIVE)]:
        outcome = run_seed(seed, size)
        assert not outcome.letter, f"seed {seed} of {size} nodes: {outcome.text}"
        coverage.update(outcome.coverage)
    for what in ("jobd:node:lost", "jobd:node:draining", "evicted", "job succeeded (exit)"):
        assert coverage[what], f"no seed had {what}"


def test_the_same_seed_is_the_same_run() -> None:
    assert run_seed(7).trace_hash == run_seed(7).trace_hash
