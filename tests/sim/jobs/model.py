# ruff: noqa: T201 -- a program: it prints its findings
"""The model checker as a program: random schedules over the product's own decision functions.

python -m tests.sim.jobs.model --seeds 20000          # sweep; exit code 1 on a violation
python -m tests.sim.jobs.model --seed 7 --trace       # one schedule, shrunk if it violates
python -m tests.sim.jobs.model --bugs                 # which planted bugs are seen, and by what
python -m tests.sim.jobs.model --bug n_reused --seed 3 --trace
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.sim.jobs.bugs import BUGS, NONE, NOT_SEEN, Bug
from tests.sim.jobs.search import draw, patched, run, shrink, sweep

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=2000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--length", type=int, default=600, help="fault steps per schedule")
    parser.add_argument("--seed", type=int, help="this schedule only")
    parser.add_argument("--bug", default="", choices=["", *BUGS], help="plant this bug")
    parser.add_argument("--bugs", action="store_true", help="hunt every planted bug")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    options = parser.parse_args(argv)
    bug = BUGS.get(options.bug, NONE)
    if options.bugs:
        return _hunt_all(options.seeds)
    if options.seed is not None:
        return _one(options.seed, options.length, bug, options.trace)
    return _sweep(options.first, options.seeds, options.length, bug)


def _one(seed: int, length: int, bug: Bug, trace: bool) -> int:
    steps = draw(seed, length)
    with patched(bug):
        _, found = run(seed, steps, bug)
        if found is not None:
            steps = shrink(seed, steps, bug, found.invariant)
            print(f"shrunk to {len(steps)} steps")
        lines: list[str] = []
        _, found = run(seed, steps, bug, lines)
    if trace or found is not None:
        print("\n".join(lines))
    print(found or "no violation")
    return int(found is not None)


def _sweep(first: int, seeds: int, length: int, bug: Bug) -> int:
    begun = time.monotonic()
    result = sweep(first, first + seeds, bug, length=length)
    took = time.monotonic() - begun
    print(
        f"{seeds} schedules from seed {first}, {result.steps} fault steps, "
        f"{result.commits} commits, {took:.0f} s ({seeds / took:.0f}/s); "
        f"violations: {len(result.found)}"
    )
    for what, count in sorted(result.coverage.items()):
        print(f"  {what:60} {count}")
    for found in result.found[:20]:
        print(*found)
    return int(bool(result.found))


def _hunt_all(seeds: int) -> int:
    """Find each bug's first seed, then what sees it in the next 300."""
    missed = 0
    for bug in BUGS.values():
        hunted = sweep(0, seeds, bug, stop=True).found
        if not hunted:
            why = NOT_SEEN.get(bug.name)
            missed += why is None
            print(f"{bug.name}: not seen in {seeds} ({why or 'MISSED'})", flush=True)
            continue
        first = hunted[0].seed
        after = sweep(first, first + 300, bug).found
        tally = Counter(found.invariant for found in after)
        seen = ", ".join(f"{letter} {count}" for letter, count in tally.most_common())
        print(f"{bug.name}: first seed {first}; in 300: {seen}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
