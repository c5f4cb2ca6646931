"""Clients of every node while one is killed, frozen or cut off: nothing is lost, nothing twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.checks import check_all
from tests.cluster.clients import Clients
from tests.cluster.cluster import TIMEOUT_S, running
from tests.cluster.faults import FAULTS, Faults
from tests.cluster.namespaces import namespaces
from tests.cluster.trace import Trace
from tests.integration.node_process import until

_QUIET_S = 1.0
pytestmark = pytest.mark.timeout(300)  # of a busy machine


def places(parent: Path, count: int) -> list[Path]:
    return [parent / f"n{number}" for number in range(1, count + 1)]


def test_three_nodes_without_any_fault(tmp_path: Path) -> None:
    trace, ledger = Trace(), tmp_path / "ledger"
    with running(places(tmp_path, 3)) as cluster:
        clients = Clients(cluster, trace, ledger).start()
        until(lambda: len(trace.operations) > 150 and len(trace.jobs) > 5, 60)
        clients.stop()
        check_all(cluster, trace, ledger)


def test_three_nodes_go_on_while_one_is_broken_in_any_way(tmp_path: Path) -> None:
    """In network namespaces: `jobd dev`'s proxy stands in for them in test_dev.py and the soak."""
    trace, ledger, names = Trace(), tmp_path / "ledger", ["n1", "n2", "n3"]
    with namespaces(names) as network, running(places(tmp_path, 3), network=network) as cluster:
        clients = Clients(cluster, trace, ledger).start()
        faults = Faults(cluster, trace)
        for number, kind in enumerate(FAULTS):
            time.sleep(_QUIET_S)
            seconds = 1.5 * TIMEOUT_S if kind in ("SIGSTOP", "partition") else 0.6 * TIMEOUT_S
            faults.one(kind, cluster.nodes[number % 3], seconds)
        time.sleep(_QUIET_S)
        cluster.recover()
        clients.stop()
        check_all(cluster, trace, ledger)


def test_five_nodes_go_on_without_two(tmp_path: Path) -> None:
    trace, ledger = Trace(), tmp_path / "ledger"
    with running(places(tmp_path, 5), "--slots", "1") as cluster:
        clients = Clients(cluster, trace, ledger).start()
        time.sleep(_QUIET_S)
        for node in cluster.nodes[:2]:
            node.lose_power()
        time.sleep(TIMEOUT_S + 1)
        accepted = len(trace.jobs)
        until(lambda: len(trace.jobs) > accepted + 3)
        cluster.recover()
        time.sleep(_QUIET_S)
        clients.stop()
        check_all(cluster, trace, ledger)
