"""The simulation of a cluster as a program: many seeds, each a run of its own.

python -m tests.sim.cluster.campaign --seeds 500 --seed 0 --size 3   # exit code 1 on a violation
"""

from __future__ import annotations

import argparse
import logging
import sys

from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.cluster.simulation import run_seed
from tests.sim.cluster.tempo_order import TempoOrder
from tests.sim.outcome import report

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Simulate a cluster.")
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--size", type=int, default=3, help="how many nodes, at most 5")
    parser.add_argument("--tempo", action="store_true", help="over the real consensus")
    options = parser.parse_args(argv)
    order = TempoOrder if options.tempo else SharedOrder
    logging.disable(logging.CRITICAL)
    seeds = range(options.seed, options.seed + options.seeds)
    return report(
        f"{options.size} nodes, {options.seeds} seeds from {options.seed}",
        (run_seed(seed, options.size, order) for seed in seeds),
    )


if __name__ == "__main__":
    sys.exit(main())
