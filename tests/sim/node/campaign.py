# ruff: noqa: T201 -- a program: it prints its findings
"""The simulation as a program: many seeds, each a run of its own.

python -m tests.sim.node.campaign --seeds 2000 --seed 0      # exit code 1 on a violation
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.sim.node.simulation import run_seed

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Simulate a node.")
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(argv)
    began = time.monotonic()
    totals, coverage, found = Counter[str](), Counter[str](), 0
    for seed in range(options.seed, options.seed + options.seeds):
        outcome = run_seed(seed)
        coverage.update(outcome.coverage)
        totals.update(steps=outcome.steps, crashes=outcome.crashes, jobs=outcome.jobs)
        if outcome.letter:
            found += 1
            print(f"seed {seed}: {outcome.text}", flush=True)
    took = time.monotonic() - began
    print(
        f"{options.seeds} seeds from {options.seed}: {totals['jobs']} jobs, "
        f"{totals['crashes']} crashes, {totals['steps']} steps, {took:.0f} s; "
        f"violations: {found}"
    )
    for what, count in sorted(coverage.items()):
        print(f"  {what:50} {count}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
