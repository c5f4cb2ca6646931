"""What a call of the client library costs: its latency, its rate, the CPU of both processes.

Run: scripts/bench client [--calls N]. One node with storage on disk. `ping` is answered by the
door's actor alone, `status` by a route, `submit` once the job is durable (it is due in hours, so
that nothing runs). Beside each rate over the wire stands that of HTTP with a kept connection.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jobd.client import AsyncClient, Client
from tests.bench.processes import cpu_s
from tests.bench.report import Report, percentile
from tests.integration.client.conftest import cluster_of
from tests.integration.node_process import NodeProcess, running

_SPEC: Final = {"name": "bench", "type": "command", "cmd": "true", "trigger": {"delay": "10h"}}
_IN_FLIGHT: Final = 64
_BATCH: Final = 500


def one_at_a_time(
    report: Report, node: NodeProcess, what: str, call: Callable[[], Any], count: int
) -> None:
    """Measure calls of one thread, each after the last one's answer."""
    pids = (os.getpid(), node.pid)
    call()
    before = [cpu_s([pid]) for pid in pids]
    took = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e6)
    mine, its = (cpu_s([pid]) - b for pid, b in zip(pids, before, strict=True))
    report.add(f"{what}: p50", percentile(took, 50), "us")
    report.add(f"{what}: p99", percentile(took, 99), "us")
    report.add(f"{what}: rate, one thread", 1e6 * count / sum(took), "/s")
    report.add(f"{what}: CPU of the client", mine / count * 1e6, "us")
    report.add(f"{what}: CPU of the node", its / count * 1e6, "us")


def over_http(node: NodeProcess) -> Callable[[], Any]:
    """Return a call of the status over HTTP, on a connection that is kept."""
    address = urlsplit(node.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {"Authorization": f"Bearer {node.token}"}

    def call() -> bytes:
        connection.request("GET", "/api/v1/status", headers=headers)
        return connection.getresponse().read()

    return call


async def many_at_a_time(report: Report, node: NodeProcess, count: int) -> None:
    """Measure calls of which so many are under way on one connection."""
    async with AsyncClient(cluster_of(node), token=node.token) as client:
        await client.status()
        for what, call in (("status", client.status), ("submit", lambda: client.submit(_SPEC))):
            turns = iter(range(count))

            async def work(turns: Any = turns, call: Any = call) -> None:
                for _ in turns:
                    await call()

            began = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))
            rate = count / (time.perf_counter() - began)
            report.add(f"{what}: rate, {_IN_FLIGHT} in flight", rate, "/s")
        began = time.perf_counter()
        for _ in range(count // _BATCH or 1):
            await client.submit_many([_SPEC] * _BATCH)
        rate = (count // _BATCH or 1) * _BATCH / (time.perf_counter() - began)
        report.add(f"submit_many: rate, {_BATCH} at once", rate, "/s", at_least=1_500)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench client", description=__doc__)
    parser.add_argument("--calls", type=int, default=4_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        report = Report("client", data)
        with running(data / "node") as node:
            with Client(cluster_of(node), token=node.token) as client:
                one_at_a_time(report, node, "ping", lambda: client.ping("/api"), calls)
                one_at_a_time(report, node, "status", client.status, calls)
                one_at_a_time(report, node, "status over HTTP", over_http(node), calls)
                one_at_a_time(report, node, "submit", lambda: client.submit(_SPEC), calls // 4)
            asyncio.run(many_at_a_time(report, node, calls))
        report.keep()


if __name__ == "__main__":
    main()
