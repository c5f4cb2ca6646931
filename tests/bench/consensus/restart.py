"""How long a killed node takes to be ready again with a long log behind it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.consensus.puts import submit
from tests.bench.report import Report
from tests.cluster.cluster import DEFAULTS, ClusterNode, running
from tests.cluster.network import Direct

__all__ = ["measure"]

_WANTED_BYTES = 1 << 30
_VALUE_BYTES = 16_384
_AT_ONCE = 64
_CHUNK = 4_096
_READY_S = 120.0


def measure(report: Report, directory: Path) -> None:
    """Write 1 GiB through three nodes, kill one, start it again.

    With the image in memory its log holds all of it; otherwise what the image has not.
    """
    for engine in ("memory", "sqlite"):
        places = [directory / engine / f"n{number}" for number in range(1, 4)]
        environment = DEFAULTS | {"JOBD_CFG_STORAGE__ENGINE": engine}
        with running(
            places,
            program="tests.bench.submitting_node",
            environment=environment,
            network=Direct(),
        ) as cluster:
            written = 0
            while written < _WANTED_BYTES:
                submit(cluster.nodes[0], _AT_ONCE, 600.0, _VALUE_BYTES, _CHUNK)
                written += _CHUNK * _VALUE_BYTES
            victim = cluster.nodes[1]
            victim.lose_power()
            size = _log_bytes(victim)
            began = time.perf_counter()
            victim.launch()
            cluster.await_ready(_READY_S)
            took_s = time.perf_counter() - began
        report.add(f"log at a kill, image in {engine}", size / 2**20, "MiB", written=written)
        report.add(f"restart, image in {engine}", took_s, "s", at_most=10.0)


def _log_bytes(node: ClusterNode) -> int:
    return sum(file.stat().st_size for file in (node.data / "log").iterdir())
