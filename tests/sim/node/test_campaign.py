"""The slice of the campaign that every submission runs; the program runs more."""

from __future__ import annotations

from collections import Counter
from multiprocessing.pool import Pool

from tests.sim.node.simulation import run_seed

SEEDS = range(200)
SEEN = (  # that the runs reach what they are for
    "job succeeded (exit)",
    "job succeeded (tasks)",
    "job failed (exit)",
    "job failed (timeout)",
    "job failed (node_lost)",
    "job cancelled (cancelled)",
    "job expired (expired)",
    "task cancelled (fail_fast)",
)


def test_the_invariants_hold_whatever_fails(pool: Pool) -> None:
    coverage: Counter[str] = Counter()
    crashes = 0
    for outcome in pool.imap(run_seed, SEEDS, chunksize=5):
        assert not outcome.letter, f"seed {outcome.seed}: {outcome.text}"
        coverage.update(outcome.coverage)
        crashes += outcome.crashes
    assert crashes > len(SEEDS)
    assert not [what for what in SEEN if not coverage[what]]


def test_a_seed_repeats() -> None:
    first, again, other = (run_seed(seed).trace_hash for seed in (11, 11, 12))
    assert first == again
    assert first != other
