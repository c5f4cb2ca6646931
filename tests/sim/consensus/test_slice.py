"""The slice of the campaign that every submission runs; `scripts/sim` runs more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.sim.consensus.campaign import CHUNK, sweep
from tests.sim.consensus.world import run_seed

SEEDS = 2_000
SEEN = (  # that the runs reach what they are for
    "answered",
    "answered with a conflict",
    "changes made",
    "changes refused (conflict)",
    "clocks jumped",
    "crashes",
    "crashes of all nodes at once",
    "crashes with the power",
    "decided by recovery",
    "decided fast",
    "decided slowly",
    "epochs begun by a change",
    "flapping partitions",
    "forwarded by a learner",
    "groups refused by a full disk",
    "histories searched",
    "learners joined",
    "nodes declared lost",
    "packets come again late",
    "partitions",
    "processes stopped",
    "reads served",
    "snapshots taken",
    "swizzle clogs",
    "transactions of a session that ended",
    "transactions refused",
    "wrong words of the detector",
)


@pytest.mark.timeout(400)
def test_the_invariants_hold_whatever_fails() -> None:
    coverage: Counter[str] = Counter()
    broken: list[tuple[int, str]] = []
    for _, counted, found in sweep(range(0, SEEDS, CHUNK), os.cpu_count() or 1):
        coverage.update(counted)
        broken += found
    assert not broken, "\n".join(f"scripts/sim --replay {seed}: {text}" for seed, text in broken)
    assert not [what for what in SEEN if not coverage[what]]
    assert coverage["transactions ordered"] > 100 * SEEDS


def test_a_seed_repeats() -> None:
    first, again, other = (run_seed(seed).digest for seed in (11, 11, 12))
    assert first == again
    assert first != other


def test_a_seed_repeats_in_another_process() -> None:
    program = "from tests.sim.consensus.world import run_seed; print(run_seed(28).digest)"
    digests = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(__file__).parents[3],
        )
        digests.add(done.stdout)
    assert len(digests) == 1
