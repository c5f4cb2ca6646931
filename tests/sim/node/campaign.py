"""The simulation as a program: many seeds, each a run of its own.

python -m tests.sim.node.campaign --seeds 2000 --seed 0      # exit code 1 on a violation
"""

from __future__ import annotations

import argparse
import sys

from tests.sim.node.simulation import run_seed
from tests.sim.outcome import report

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Simulate a node.")
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(argv)
    seeds = range(options.seed, options.seed + options.seeds)
    return report(f"{options.seeds} seeds from {options.seed}", map(run_seed, seeds))


if __name__ == "__main__":
    sys.exit(main())
