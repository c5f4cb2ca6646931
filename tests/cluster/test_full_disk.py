"""One node's disk is full: it says so and takes no part in what it can't write; the others do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.checks import check_all
from tests.cluster.clients import Clients
from tests.cluster.cluster import running
from tests.cluster.disk import small_disk, unmount
from tests.cluster.trace import Trace
from tests.integration.faults.test_disks import fill
from tests.integration.node_process import until


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    place = small_disk(tmp_path / "small", 64)
    try:
        yield place
    finally:
        unmount(place)


def test_a_full_disk_of_one_node_stops_nobody_else(tmp_path: Path, small: Path) -> None:
    trace, ledger = Trace(), tmp_path / "ledger"
    with running([small / "n1", tmp_path / "n2", tmp_path / "n3"]) as cluster:
        clients = Clients(cluster, trace, ledger).start()
        time.sleep(1)
        filler = fill(small)
        full, *others = cluster.nodes
        until(lambda: full.call("GET", "/status")["read_only"], 40)
        accepted = len(trace.jobs)
        until(lambda: len(trace.jobs) > accepted + 5)
        assert not any(node.call("GET", "/status")["read_only"] for node in others)
        filler.unlink()
        until(lambda: not full.call("GET", "/status")["read_only"], 30)
        time.sleep(1)
        clients.stop()
        # What was given to it before it noticed could not be spawned there.
        check_all(cluster, trace, ledger, reasons=("node_lost", "spawn"))
