"""Command jobs on one node, beside the machine's floor and beside RQ and Celery.

Run: scripts/bench jobs [PART...] [--rounds N]; parts: latency throughput peers queued.
Everything runs `true`. Rounds of what is compared alternate, and each figure is the median of its
rounds: trust the ratios of one run. CPU is that of every process but the submitters.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.bare_spawn import bare_spawn
from tests.bench.bench_store_disk import bare_commit
from tests.bench.bench_store_disk import measure as measure_disk
from tests.bench.load import drained, latencies_s, submit_all
from tests.bench.peers import Peer, missing, peers
from tests.bench.processes import cpu_s
from tests.bench.queued import QUEUED, measure_queued
from tests.bench.report import Report, percentile
from tests.integration.node_process import NodeProcess, running

TRUE = {"name": "bench", "type": "command", "cmd": "/usr/bin/true"}
LIMITED = {**TRUE, "limits": {"nofile": 1024}}
PARTS = ("latency", "throughput", "peers", "queued")
_SUBMITTERS = 16
_MANY_SLOTS = 8
_BARE = "bare posix_spawn + wait"
_NODE = "JobD, slots = cores"
_WIDE = f"JobD, {_MANY_SLOTS} slots"
_LIMITED = f"JobD, {_MANY_SLOTS} slots, with rlimits"
Measured = tuple[float, float]  # (jobs per second, CPU seconds per job)
Round = Callable[[], Measured]


def latency(report: Report, directory: Path, rounds: int) -> None:
    """Submit to terminal of one job at a time, beside the fsync of the same disk."""
    commit = bare_commit(directory)
    fsyncs_s: list[float] = []
    jobs_s: list[float] = []
    with running(directory / "latency") as node:
        latencies_s(node, TRUE, 20)
        for _ in range(rounds):
            fsyncs_s += [us / 1e6 for us in measure_disk(commit, 1, 0.3)[1]]
            jobs_s += latencies_s(node, TRUE, 60)
    fsync_ms = statistics.median(fsyncs_s) * 1e3
    report.add("fdatasync of the same disk, p50", fsync_ms, "ms", p99=percentile(fsyncs_s, 99))
    p50_ms, p99_ms = (percentile(jobs_s, q) * 1e3 for q in (50, 99))
    report.add("submit to terminal, p50", p50_ms, "ms", at_most=3 * fsync_ms + 10)
    report.add("submit to terminal, p99", p99_ms, "ms")


def node_round(node: NodeProcess, spec: dict[str, Any], count: int) -> Round:
    """Return what runs jobs to their ends: 16 submitters, one job a request."""
    supervisor = node.supervisor_pid()
    assert supervisor is not None, "it has run jobs"
    pids = [node.pid, supervisor]

    def run() -> Measured:
        before, began = cpu_s(pids), time.perf_counter()
        submit_all(node, spec, count, _SUBMITTERS)
        drained(node)
        return count / (time.perf_counter() - began), (cpu_s(pids) - before) / count

    return run


def bare_round(count: int) -> Round:
    """Return what spawns and waits in a loop."""

    def run() -> Measured:
        wall_s, spent_s = bare_spawn(count)
        return count / wall_s, spent_s / count

    return run


def peer_round(peer: Peer, count: int) -> Round:
    """Return what does the same in a peer."""

    def run() -> Measured:
        wall_s, spent_s = peer.run(count)
        return count / wall_s, spent_s / count

    return run


def alternate(contenders: dict[str, Round], rounds: int) -> dict[str, Measured]:
    """Return the medians of each one's rounds, which are run in turn."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            found[name].append(run())
    return {
        name: (statistics.median(r for r, _ in runs), statistics.median(c for _, c in runs))
        for name, runs in found.items()
    }


def throughput(
    report: Report, directory: Path, rounds: int, *, with_node: bool, with_peers: bool
) -> None:
    """Sustained jobs per second and CPU per job of all contenders, in alternating rounds."""
    with ExitStack() as stack:
        contenders = {_BARE: bare_round(1000)}
        wide = stack.enter_context(running(directory / "wide", "--slots", str(_MANY_SLOTS)))
        contenders[_WIDE] = _warm(wide, TRUE, 800)
        if with_node:
            node = stack.enter_context(running(directory / "node"))
            contenders[_NODE] = _warm(node, TRUE, 800)
            contenders[_LIMITED] = _warm(wide, LIMITED, 400)
        if with_peers:
            for name, peer in stack.enter_context(peers(directory, _MANY_SLOTS)).items():
                count = 160 if peer.name == "rq" else 800
                contenders[name] = peer_round(peer, count)
        _report(report, alternate(contenders, rounds))


def _warm(node: NodeProcess, spec: dict[str, Any], count: int) -> Round:
    latencies_s(node, spec, 10)
    return node_round(node, spec, count)


def _report(report: Report, found: dict[str, Measured]) -> None:
    goals = {_NODE: 200, _WIDE: 200}
    for name, (rate, _) in found.items():
        report.add(f"{name}: sustained", rate, "jobs/s", at_least=goals.get(name))
    _, bare_s = found[_BARE]
    report.add(f"{_BARE}: CPU of a job", bare_s * 1e3, "ms")
    cpu_goals = {_NODE: 3, _WIDE: 3, _LIMITED: 6}
    for name, (_, spent_s) in list(found.items())[1:]:
        report.add(
            f"{name}: CPU of a job / bare",
            spent_s / bare_s,
            "x",
            at_most=cpu_goals.get(name),
            cpu_ms=spent_s * 1e3,
        )


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="scripts/bench jobs", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queued", type=int, default=QUEUED)
    parser.add_argument("--dir", help="where the data lies; its disk is what is measured")
    asked = parser.parse_args()
    parts = set(asked.parts or PARTS)
    if parts - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    if "peers" in parts and (why := missing()):
        print(f"without peers: {why}", file=sys.stderr)
        parts.remove("peers")
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        directory = Path(name)
        report = Report("jobs", directory)
        if "latency" in parts:
            latency(report, directory, asked.rounds)
        if parts & {"throughput", "peers"}:
            with_node, with_peers = "throughput" in parts, "peers" in parts
            throughput(report, directory, asked.rounds, with_node=with_node, with_peers=with_peers)
        if "queued" in parts:
            measure_queued(report, directory, asked.queued)
        report.keep()


if __name__ == "__main__":
    main()
