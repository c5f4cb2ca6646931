# ruff: noqa: T201 -- a part of programs: it prints their findings
"""What runs of a simulation came to, one by one and all together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from actors.errors import JobdError
from tests.sim.violation import ViolationError

__all__ = ["Outcome", "broken_by", "report"]


class Outcome(NamedTuple):
    """What a run came to: `letter` and `text` are empty when every invariant held."""

    seed: int
    letter: str
    text: str
    trace_hash: str
    steps: int
    crashes: int
    jobs: int
    coverage: dict[str, int]


def broken_by(run: Callable[[], None]) -> tuple[str, str]:
    """Run; return the letter of the invariant that broke and how it did, empty when all held."""
    try:
        run()
    except ViolationError as error:
        return error.invariant, str(error)
    except (AssertionError, JobdError) as error:
        return "assert", repr(error)
    return "", ""


def report(what: str, outcomes: Iterable[Outcome]) -> int:
    """Print violations as they are found, then the sums of all runs; return the exit status."""
    began = time.monotonic()
    totals, coverage, found = Counter[str](), Counter[str](), 0
    for outcome in outcomes:
        coverage.update(outcome.coverage)
        totals.update(steps=outcome.steps, crashes=outcome.crashes, jobs=outcome.jobs)
        if outcome.letter:
            found += 1
            print(f"seed {outcome.seed}: {outcome.text}", flush=True)
    took = time.monotonic() - began
    print(
        f"{what}: {totals['jobs']} jobs, {totals['crashes']} crashes, {totals['steps']} steps, "
        f"{took:.0f} s; violations: {found}"
    )
    for name, count in sorted(coverage.items()):
        print(f"  {name:50} {count}")
    return int(found > 0)
