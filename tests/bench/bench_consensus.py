"""Three nodes of JobD beside three of etcd, on one machine and in one run.

Run: scripts/bench consensus [PART...] [--rounds N]; parts: writes, jobs, failover, restart.
Both sync every write before they answer. Writes are puts of 200 B: etcd's come from h2load, which
goes to the leader alone; JobD's from actors of one node or of all, which is where its own writes
come from, and from users through the client library, which costs more than the store. Rounds
alternate and medians are compared: trust the ratios of one run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.consensus import failover, jobs, restart
from tests.bench.consensus.puts import ByActors, ByUsers
from tests.bench.etcd import Load, etcd, missing
from tests.bench.processes import cpu_s, tree
from tests.bench.report import Report, percentile
from tests.cluster.cluster import DEFAULTS, Cluster, running
from tests.cluster.network import Direct

PARTS = ("writes", "jobs", "failover", "restart")
_CLIENTS = (1, 8, 64, 256)
_SECONDS = 3.0
_VALUE = b"v" * 200
Put = Callable[[int], Load]


def writes(report: Report, directory: Path, rounds: int) -> None:
    """Puts per second and their latencies, by the number of clients."""
    with ExitStack() as stack:
        places = [directory / f"n{number}" for number in range(1, 4)]
        cluster = stack.enter_context(
            running(
                places,
                program="tests.bench.submitting_node",
                environment=DEFAULTS,
                network=Direct(),
            )
        )
        one, all_, users = ByActors(cluster.nodes[:1]), ByActors(cluster.nodes), ByUsers(cluster)
        puts: dict[str, Put] = {
            "JobD, actors of one": lambda clients: one.put(clients, _SECONDS, len(_VALUE)),
            "JobD, actors of all": lambda clients: all_.put(clients, _SECONDS, len(_VALUE)),
            "JobD, client library": lambda clients: users.put(clients, _SECONDS, _VALUE),
        }
        pids = {name: _pids(cluster) for name in puts}
        if why := missing():
            print(f"without etcd: {why}", file=sys.stderr)
        else:
            peer = stack.enter_context(etcd(directory / "etcd"))
            puts["etcd"] = lambda clients: peer.put(clients, _SECONDS, _VALUE)
            pids["etcd"] = peer.pids
            ceiling = peer.get(64, _SECONDS)
            report.add("etcd, 64 clients: reads without consensus", ceiling.rate, "/s")
        local = users.get(64, _SECONDS)
        report.add("JobD, client library, 64: reads without consensus", local.rate, "/s")
        found = _rounds(puts, pids, rounds)
    _report(report, found)


def _pids(cluster: Cluster) -> list[int]:
    return [node.pid for node in cluster.nodes]


def _rounds(
    puts: dict[str, Put], pids: dict[str, list[int]], rounds: int
) -> dict[tuple[str, int], list[tuple[float, float, float, float, float]]]:
    """Return (rate, p50, p99 in ms, CPU of the nodes and of the client in ms a put) by round."""
    found: dict[tuple[str, int], list[tuple[float, float, float, float, float]]] = {}
    for _ in range(rounds):
        for clients in _CLIENTS:
            for name, put in puts.items():
                trees = [pid for root in pids[name] for pid in tree(root)]
                before = cpu_s(trees)
                load = put(clients)
                count = len(load.latencies_ms)
                spent_ms = 1e3 * (cpu_s(trees) - before) / count
                p50, p99 = (percentile(load.latencies_ms, q) for q in (50, 99))
                row = (load.rate, p50, p99, spent_ms, 1e3 * load.client_cpu / count)
                found.setdefault((name, clients), []).append(row)
    return found


def _report(
    report: Report, found: dict[tuple[str, int], list[tuple[float, float, float, float, float]]]
) -> None:
    medians = {
        key: [statistics.median(values) for values in zip(*rows, strict=True)]
        for key, rows in found.items()
    }
    for (name, clients), (rate, p50, p99, spent, client) in medians.items():
        detail = {"p50_ms": p50, "p99_ms": p99, "cpu_ms": spent, "client_cpu_ms": client}
        report.add(f"{name}, {clients} clients", rate, "puts/s", **detail)
        told = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, CPU of a put: nodes {spent:.2f} ms"
        print(f"    {told}, client {client:.2f} ms")
    if ("etcd", 64) not in medians:
        return
    for name in ("JobD, actors of one", "JobD, actors of all", "JobD, client library"):
        for clients in _CLIENTS:
            mine, peer = medians[name, clients], medians["etcd", clients]
            goal = 1.0 if (name, clients) == ("JobD, actors of one", 64) else None
            report.add(f"{name} / etcd, {clients}: rate", mine[0] / peer[0], "x", at_least=goal)
            at_most = 4.0 if name == "JobD, actors of one" and clients in (1, 64) else None
            report.add(f"{name} / etcd, {clients}: p50", mine[1] / peer[1], "x", at_most=at_most)


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench consensus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", help="where the data lies; its disk is what is measured")
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if set(parts) - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        directory = Path(name)
        report = Report("consensus", directory)
        if "writes" in parts:
            writes(report, directory / "writes", asked.rounds)
        if "jobs" in parts:
            jobs.measure(report, directory / "jobs", asked.rounds)
        if "failover" in parts:
            failover.measure(report, directory / "failover", asked.rounds)
        if "restart" in parts:
            restart.measure(report, directory / "restart")
        report.keep()


if __name__ == "__main__":
    main()
