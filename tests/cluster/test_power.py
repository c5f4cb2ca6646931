"""The power goes in the whole house: what was not synced is gone, what was acknowledged is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.checks import check_all
from tests.cluster.clients import Clients
from tests.cluster.cluster import running
from tests.cluster.disk import Forgetful, need_fuse
from tests.cluster.faults import Faults
from tests.cluster.trace import Trace
from tests.integration.node_process import until

_ROUNDS = 2
pytestmark = pytest.mark.timeout(300)  # of a busy machine


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[list[Forgetful]]:
    need_fuse()
    with ExitStack() as stack:
        found = []
        for number in range(1, 4):
            disk = Forgetful(tmp_path / f"backing{number}", tmp_path / f"n{number}")
            stack.callback(disk.close)
            found.append(disk)
        yield found


def test_power_loss_of_all_nodes_loses_nothing_that_was_acknowledged(
    tmp_path: Path, disks: list[Forgetful]
) -> None:
    trace, ledger = Trace(), tmp_path / "ledger"
    with running([disk.mount for disk in disks]) as cluster:
        clients = Clients(cluster, trace, ledger).start()
        faults = Faults(cluster, trace, disks=disks)
        for _ in range(_ROUNDS):
            time.sleep(2)
            faults.one("power loss of all", cluster.nodes[0], 0)
        time.sleep(2)
        clients.stop()
        check_all(cluster, trace, ledger)


def test_a_node_whose_disk_fails_stops_itself_and_the_others_go_on(
    tmp_path: Path, disks: list[Forgetful]
) -> None:
    trace, ledger = Trace(), tmp_path / "ledger"
    with running([disk.mount for disk in disks]) as cluster:
        clients = Clients(cluster, trace, ledger).start()
        time.sleep(1)
        disks[0].say("fail")
        failed = cluster.nodes[0]
        assert failed.exit_code() == 74
        assert "Check the disk" in failed.log()
        accepted = len(trace.jobs)
        until(lambda: len(trace.jobs) > accepted + 3)
        disks[0].say("mend")
        cluster.recover()
        time.sleep(1)
        clients.stop()
        check_all(cluster, trace, ledger)
