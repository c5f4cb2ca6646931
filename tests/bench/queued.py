"""100,000 queued jobs on one node: memory, restart, latency of what comes after them.

Two queues: jobs whose time has not come, and pending jobs that ask for more cpu than is free, so
that the scheduler has to look past them at every free slot.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.bench.load import Client, latencies_s, submit_batches
from tests.bench.processes import cpu_s, rss_mib
from tests.bench.report import Report, percentile
from tests.integration.node_process import NodeProcess, running, until

__all__ = ["measure_queued"]

QUEUED = 100_000
_TRUE = {"name": "probe", "type": "command", "cmd": "true", "priority": 100}
_PROBES = 150
_DELAYED = {"name": "later", "type": "command", "cmd": "true", "trigger": {"delay": "1d"}}
_REPORT = "a turn of"  # the watchdog's words in the node's log
_QUIET_S = 32.0  # a reconcile pass falls into it


def _holder() -> dict[str, Any]:
    return {
        "name": "hold",
        "type": "command",
        "cmd": "sleep",
        "args": ["900"],
        "resources": {"cpu": 1},
    }


def _blocked() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    return {"name": "wait", "type": "command", "cmd": "true", "resources": {"cpu": cores}}


def measure_queued(report: Report, directory: Path, count: int) -> None:
    """Measure both queues, each on a node of its own."""
    _measure(report, directory / "delayed", "delayed", _DELAYED, count, hold=False)
    _measure(report, directory / "pending", "pending", _blocked(), count, hold=True)


def _measure(
    report: Report, data: Path, name: str, spec: dict[str, Any], count: int, *, hold: bool
) -> None:
    with running(data) as node:
        if hold:
            held = node.submit(**_holder())
            until(lambda: node.job(held)["state"] == "running")
        idle = latencies_s(node, _TRUE, _PROBES)
        began = time.monotonic()
        submit_batches(node, spec, count)
        report.add(
            f"{name}: submitted, 500 a request", count / (time.monotonic() - began), "jobs/s"
        )
        _latency(report, node, name, idle)
        now, peak = rss_mib(node.pid)
        report.add(f"{name}: node RSS", now, "MiB", at_most=1024, peak=peak)
        _idle_cpu(report, node, name)
        _restart(report, node, name, count)
        _latency(report, node, f"{name}, restarted", idle)
        reports = node.log().count(_REPORT)
        report.add(f"{name}: turns over 50 ms reported", reports, at_most=0)
        if hold:
            node.call("POST", f"/jobs/{held}/cancel", {})


def _latency(report: Report, node: NodeProcess, name: str, idle: list[float]) -> None:
    loaded = latencies_s(node, _TRUE, _PROBES)
    for q, goal in ((50, None), (99, 2.0)):
        before, after = (percentile(values, q) for values in (idle, loaded))
        report.add(
            f"{name}: submit to end of a priority job, p{q} / idle",
            after / before,
            "x",
            at_most=goal,
            idle_ms=before * 1e3,
            loaded_ms=after * 1e3,
        )


def _idle_cpu(report: Report, node: NodeProcess, name: str) -> None:
    """What the queue alone costs, over a reconcile pass."""
    before = cpu_s([node.pid])
    time.sleep(_QUIET_S)
    report.add(f"{name}: CPU of the quiet node", (cpu_s([node.pid]) - before) / _QUIET_S * 100, "%")


def _restart(report: Report, node: NodeProcess, name: str, count: int) -> None:
    """Kill it and start it anew; ready is when it takes work."""
    node.kill()
    began = time.monotonic()
    node.start()
    report.add(f"{name}: start after kill -9", time.monotonic() - began, "s", at_most=5)
    jobs = Client(node).call("GET", "/status")["jobs"]
    assert jobs.get("scheduled", 0) + jobs.get("pending", 0) == count, jobs
