"""Jobs per second of one node and of three, submitted at all of them, eight slots each."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Client, drained
from tests.bench.report import Report, percentile
from tests.cluster.cluster import DEFAULTS, running
from tests.cluster.network import Direct
from tests.integration.node_process import NodeProcess

__all__ = ["measure"]

_TRUE = {"name": "bench", "type": "command", "cmd": "/usr/bin/true"}
_SLOTS = ("--slots", "8")
_SUBMITTERS = 16
_COUNT = 800
_WARM_UP = 40
_ONE_BY_ONE = 60


def measure(report: Report, directory: Path, rounds: int) -> None:
    """Alternate a node alone with a cluster of three."""
    with ExitStack() as stack:
        contenders: dict[str, Sequence[NodeProcess]] = {}
        for name, count in (("one node", 1), ("three nodes", 3)):
            places = [directory / f"{count}" / f"n{number}" for number in range(1, count + 1)]
            contenders[name] = stack.enter_context(
                running(places, *_SLOTS, environment=DEFAULTS, network=Direct())
            ).nodes
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        singles: dict[str, list[float]] = {name: [] for name in contenders}
        for nodes in contenders.values():
            throughput(nodes, _WARM_UP)
        for _ in range(rounds):
            for name, nodes in contenders.items():
                rates[name].append(throughput(nodes, _COUNT))
                client, body = Client(nodes[0]), json.dumps(_TRUE).encode()
                singles[name] += [client.run(body) for _ in range(_ONE_BY_ONE)]
    for name in contenders:
        report.add(f"{name}: jobs", statistics.median(rates[name]), "jobs/s")
        p50, p99 = (percentile(singles[name], q) * 1e3 for q in (50, 99))
        report.add(f"{name}: submit to terminal, one at a time, p50", p50, "ms", p99=p99)


def throughput(nodes: Sequence[NodeProcess], count: int) -> float:
    """Return jobs per second from the first submission to the last end."""
    body = json.dumps(_TRUE).encode()

    def submit(node: NodeProcess) -> None:
        client = Client(node)
        for _ in range(count // _SUBMITTERS):
            client.call("POST", "/jobs", body)

    threads = [
        threading.Thread(target=submit, args=(nodes[number % len(nodes)],))
        for number in range(_SUBMITTERS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drained(nodes[0])
    return count // _SUBMITTERS * _SUBMITTERS / (time.perf_counter() - began)
