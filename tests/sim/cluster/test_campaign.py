"""A slice of the campaign: clusters under random faults, and the same seed is the same run."""

from __future__ import annotations

from collections import Counter
from multiprocessing.pool import Pool

import pytest

from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.cluster.simulation import run_seed
from tests.sim.cluster.tempo_order import TempoOrder

_THREE = range(3000, 3004)
_FIVE = range(5001, 5002)  # what a slot could not start while cut off was taken for gone


@pytest.mark.parametrize("order", [SharedOrder, TempoOrder])
def test_clusters_survive_their_faults(order: type[SharedOrder], pool: Pool) -> None:
    coverage: Counter[str] = Counter()
    runs = [*((s, 5, order) for s in _FIVE), *((s, 3, order) for s in _THREE)]
    outcomes = pool.starmap(run_seed, runs, chunksize=1)
    for (_, size, _), outcome in zip(runs, outcomes, strict=True):
        assert not outcome.letter, f"seed {outcome.seed} of {size} nodes: {outcome.text}"
        coverage.update(outcome.coverage)
    for what in ("jobd:node:lost", "jobd:node:draining", "evicted", "job succeeded (exit)"):
        assert coverage[what], f"no seed had {what}"


def test_the_same_seed_is_the_same_run() -> None:
    traces = [run_seed(7, 3, TempoOrder).trace_hash for _ in range(2)]
    assert traces[0] == traces[1]
