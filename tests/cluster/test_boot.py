"""A node that boots while it hears nobody waits for the others."""

from __future__ import annotations

import time
from pathlib import Path

from tests.cluster.cluster import TIMEOUT_S, running


def test_a_node_without_a_token_mints_it_once_there_is_a_majority(tmp_path: Path) -> None:
    with running(tmp_path / f"n{number}" for number in (1, 2, 3)) as cluster:
        first, *others = cluster.nodes
        for node in cluster.nodes:
            node.kill()
        (first.data / "admin.token").unlink()  # as if it had been killed before it had one
        first.launch()
        time.sleep(TIMEOUT_S + 2)
        assert first.runs, first.log()
        assert not (first.data / "admin.token").exists()
        for node in others:
            node.launch()
        cluster.await_ready()
        first.token = (first.data / "admin.token").read_text().strip()
        assert others[0].call("GET", "/status", headers={"Authorization": f"Bearer {first.token}"})
