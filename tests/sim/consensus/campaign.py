# ruff: noqa: T201 -- a program: it prints its findings
"""Campaigns of the consensus simulation; `scripts/sim` runs this.

scripts/sim --seeds 20000 --seed 0            # as many runs; exit code 1 on a violation
scripts/sim --seeds 200000 --journal FILE     # goes on where the journal ends
scripts/sim --replay 1234                     # one run, step by step
scripts/sim --exhaustive                      # the small scopes, larger than in the suite
scripts/sim --mutants                         # what sees each planted bug; writes the table
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.sim.consensus import explorations, mutants
from tests.sim.consensus.trace import Trace
from tests.sim.consensus.uncollected import uncollected
from tests.sim.consensus.world import Outcome, Simulation, run_seed

__all__ = ["CHUNK", "main", "sweep"]

CHUNK: Final = 25
_SAID: Final = (
    "transactions ordered", "commands executed", "decided fast", "decided slowly",
    "decided by recovery", "epochs begun by a change", "snapshots taken", "crashes",
    "crashes with the power", "partitions", "packets",
)  # fmt: skip


def _run_chunk(first: int) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    coverage: Counter[str] = Counter()
    broken: list[tuple[int, str]] = []
    with uncollected():
        for seed in range(first, first + CHUNK):
            outcome: Outcome = run_seed(seed)
            coverage.update(outcome.coverage)
            if outcome.invariant:
                broken.append((seed, outcome.text))
    return first, coverage, broken


def sweep(
    chunks: Iterable[int], jobs: int
) -> Iterator[tuple[int, Counter[str], list[tuple[int, str]]]]:
    """Run chunks of seeds on some processes; yield (first seed, coverage, violations)."""
    if jobs == 1:
        yield from map(_run_chunk, chunks)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_run_chunk, chunks)


def _journaled(path: Path | None) -> dict[int, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    return {line["first"]: line for line in lines}


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _campaign(options: argparse.Namespace) -> int:
    journal = Path(options.journal) if options.journal else None
    done = _journaled(journal)
    wanted = range(options.seed, options.seed + options.seeds, CHUNK)
    coverage: Counter[str] = Counter()
    broken: list[tuple[int, str]] = []
    for line in done.values():
        coverage.update(line["coverage"])
        broken += [(seed, text) for seed, text in line["broken"]]
    began, ran, commit = time.monotonic(), 0, _commit()
    todo = [first for first in wanted if first not in done]
    for first, counted, found in sweep(todo, options.jobs):
        ran += CHUNK
        coverage.update(counted)
        broken += found
        for seed, text in found:
            print(f"seed {seed}: {text}\n  again: scripts/sim --replay {seed}", flush=True)
        if journal is not None:
            line = {"first": first, "commit": commit, "coverage": counted, "broken": found}
            with journal.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if ran % (10 * CHUNK) == 0:
            rate = ran / (time.monotonic() - began)
            print(
                f"{ran + len(done) * CHUNK} seeds, {rate:.1f}/s, "
                f"{coverage['commands executed']} commands, "
                f"{coverage['decided by recovery']} recovered, violations: {len(broken)}",
                flush=True,
            )
    total = ran + len(done) * CHUNK
    print(f"{total} seeds from {options.seed} at {commit}; violations: {len(broken)}")
    for what, count in sorted(coverage.items()) if options.coverage else []:
        print(f"  {what:50} {count}")
    if not options.coverage:
        print("  " + ", ".join(f"{what} {coverage[what]}" for what in _SAID))
    return int(bool(broken))


def _replay(seed: int) -> int:
    simulation = Simulation(seed)
    Trace(simulation, print)
    outcome = simulation.run()
    print(outcome.text or f"seed {seed}: no violation", outcome.digest)
    return int(bool(outcome.invariant))


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/sim", description="Simulate consensus.")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many runs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--journal", help="a file that keeps what is done, to go on from")
    parser.add_argument("--coverage", action="store_true", help="print all that was met")
    parser.add_argument("--replay", type=int, metavar="SEED", help="print one run step by step")
    parser.add_argument("--exhaustive", action="store_true", help="explore the small scopes")
    parser.add_argument("--mutants", action="store_true", help="hunt every planted bug")
    options = parser.parse_args(argv)
    if options.replay is not None:
        return _replay(options.replay)
    if options.exhaustive:
        return explorations.main()
    if options.mutants:
        return mutants.main()
    return _campaign(options)


if __name__ == "__main__":
    sys.exit(main())
