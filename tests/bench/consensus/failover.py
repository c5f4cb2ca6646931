"""How long writes pause and jobs wait when one of three nodes is killed."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.bench.report import Report
from tests.cluster.cluster import DEFAULTS, Cluster, ClusterNode, running
from tests.cluster.network import Direct
from tests.cluster.stores import ByHttp, Refused, Unknown
from tests.integration.node_process import until

__all__ = ["measure"]

_FAILURE_TIMEOUT_S = 5.0  # the default
_GOAL_S = _FAILURE_TIMEOUT_S + 1
_BEFORE_S = 1.0
_AFTER_S = 8.0


def measure(report: Report, directory: Path, rounds: int) -> None:
    """Kill each node in turn, with its jobs, while the others are written to."""
    gaps: list[float] = []
    restarts: list[float] = []
    with running(
        [directory / f"n{number}" for number in range(1, 4)], environment=DEFAULTS, network=Direct()
    ) as cluster:
        for number in range(rounds):
            victim = cluster.nodes[number % 3]
            gap_s, restart_s = _kill(cluster, victim, directory / f"started-{number}")
            gaps.append(gap_s)
            restarts.append(restart_s)
            cluster.recover()
    report.add(
        "longest pause of writes at the other nodes", max(gaps), "s", at_most=_GOAL_S,
        median=statistics.median(gaps),
    )  # fmt: skip
    report.add(
        "a killed node's job runs elsewhere after", max(restarts), "s", at_most=_GOAL_S,
        median=statistics.median(restarts),
    )  # fmt: skip


def _kill(cluster: Cluster, victim: ClusterNode, ledger: Path) -> tuple[float, float]:
    """Return the longest pause between two writes, and when the victim's job ran again."""
    spec = {
        "shell": f'date +%s.%N >>"{ledger}"; sleep 30',
        "idempotent": True,
        "node_lost": {"wait": "0s", "then": "requeue"},
    }
    other = next(node for node in cluster.nodes if node is not victim)
    job_id = _running_on(cluster, victim, other, spec)
    stopping = threading.Event()
    gaps: list[float] = []
    writers = [
        threading.Thread(target=_write, args=(cluster, node, stopping, gaps))
        for node in cluster.nodes
        if node is not victim
    ]
    for writer in writers:
        writer.start()
    time.sleep(_BEFORE_S)
    killed = time.time()
    victim.lose_power()
    until(lambda: len(ledger.read_text().split()) > 1, 60)
    again_s = float(ledger.read_text().split()[-1]) - killed
    time.sleep(max(0.0, _AFTER_S - (time.time() - killed)))
    stopping.set()
    for writer in writers:
        writer.join()
    other.call("POST", f"/jobs/{job_id}/cancel", {})
    return max(gaps), again_s


def _running_on(
    cluster: Cluster, victim: ClusterNode, other: ClusterNode, spec: dict[str, object]
) -> str:
    """Submit until one of the jobs runs on the victim; the others are cancelled."""
    me = victim.call("GET", "/status")["node"]
    while True:
        job_id = victim.submit(**spec)
        running_job = victim.call("GET", f"/jobs/{job_id}?wait=30s&until=running")
        if running_job["node"] == me:
            return job_id
        other.call("POST", f"/jobs/{job_id}/cancel", {})
        other.ended(job_id)


def _write(
    cluster: Cluster, node: ClusterNode, stopping: threading.Event, gaps: list[float]
) -> None:
    store, number, last = ByHttp(node, cluster.token), 0, time.monotonic()
    longest = 0.0
    while not stopping.is_set():
        number += 1
        with suppress(Refused, Unknown):
            store.write(f"failover-{node.name}", str(number))
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        time.sleep(0.005)
    gaps.append(longest)
