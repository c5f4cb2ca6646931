# ruff: noqa: T201 -- a program: it prints its findings
"""Run one seed, or a campaign: `python -m tests.sim.pipelines.search 0 100000`."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable

from actors.core.store.txn import Txn
from tests.sim.pipelines.plans import draw
from tests.sim.pipelines.world import Violation, World

__all__ = ["run_seed"]


def _as_it_is(txn: Txn) -> Txn:
    return txn


def run_seed(seed: int, cut: Callable[[Txn], Txn] = _as_it_is) -> World:
    """Run one schedule to its end. Raises Violation."""
    rng = random.Random(seed)
    limit = rng.choice((0, 0, 0, 1, 2))
    plan = draw(rng, limit=limit)
    runs = rng.choice((1, 1, 2, 3)) if limit else 1
    world = World(plan, rng, cut, runs=runs, stops=rng.random() < 0.4)
    for _ in range(rng.randint(20, 250)):
        world.act()
    world.settle()
    world.check_oracle()
    if rng.random() < 0.3:
        world.rerun()
        for _ in range(rng.randint(20, 150)):
            world.act()
        world.settle()
        world.check_oracle()
    return world


def main() -> None:
    """Run the seeds of the command line and print what was found."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    counts: Counter[str] = Counter()
    for seed in range(first, last):
        try:
            world = run_seed(seed)
        except Violation as error:
            print(f"seed {seed}: {error}")
            counts["violations"] += 1
            continue
        counts += world.counts
        counts.update(entry.noun.state for _, entry in world.store.scan("step/"))
        counts.update(f"run {entry.noun.state}" for _, entry in world.store.scan("run/"))
    print(dict(counts))


if __name__ == "__main__":
    main()
