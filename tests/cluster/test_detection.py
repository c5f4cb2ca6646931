"""Real nodes that die, stand still and stop: what the others say of it, and how soon."""

from __future__ import annotations

import itertools
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.cluster import TIMEOUT_S, Cluster, ClusterNode, running
from tests.integration.node_process import until

_BUSY_S = 3.0  # what a machine that does much else may take longer


def told(node: ClusterNode, kind: str) -> list[tuple[str, float]]:
    """Return (node, when) of all events of a kind, in their order."""
    events: list[dict[str, Any]] = node.call("GET", f"/events?types={kind}&limit=500")["items"]
    found = [(e["data"]["node"], datetime.fromisoformat(e["time"]).timestamp()) for e in events]
    return sorted(found, key=lambda each: each[1])


def names(node: ClusterNode, kind: str) -> list[str]:
    return [name for name, _ in told(node, kind)]


def id_of(node: ClusterNode) -> str:
    text: str = node.call("GET", "/status")["node"]
    return text


def the_others(cluster: Cluster, but: ClusterNode) -> list[ClusterNode]:
    return [node for node in cluster.nodes if node is not but]


def test_losses_leaves_and_leaders_are_told_once_and_soon(tmp_path: Path) -> None:
    with running([tmp_path / f"n{number}" for number in (1, 2, 3)]) as cluster:
        ids = {id_of(node): node for node in cluster.nodes}
        until(lambda: names(cluster.nodes[0], "jobd:leader:changed"))
        (first,) = names(cluster.nodes[0], "jobd:leader:changed")
        _dies(cluster, ids[first], first)
        still = the_others(cluster, ids[first])[0]
        _stands_still(cluster, still, id_of(still))
        _stops(cluster, still, id_of(still))
        leaders = names(ids[first], "jobd:leader:changed")
        assert leaders[0] == leaders[2] == first
        assert all(a != b for a, b in itertools.pairwise(leaders))


def _dies(cluster: Cluster, node: ClusterNode, id_: str) -> None:
    """Who leads is killed: lost and led by another in time, and it leads again when it is back."""
    other = the_others(cluster, node)[0]
    killed_s = time.time()
    node.kill()
    until(lambda: names(other, "jobd:node:lost") == [id_])
    until(lambda: len(names(other, "jobd:leader:changed")) == 2)
    for kind in ("jobd:node:lost", "jobd:leader:changed"):
        assert told(other, kind)[-1][1] - killed_s < TIMEOUT_S + 1 + _BUSY_S
    node.launch()
    cluster.await_ready()
    until(lambda: names(other, "jobd:leader:changed")[2:] == [id_])


def _stands_still(cluster: Cluster, node: ClusterNode, id_: str) -> None:
    """It is lost, accuses nobody when it goes on, and takes a new session as it is."""
    other = the_others(cluster, node)[0]
    before, pid = node.call("GET", f"/nodes/{id_}")["incarnation"], node.pid
    node.freeze()
    until(lambda: names(other, "jobd:node:lost")[1:] == [id_])
    node.thaw()
    until(lambda: node.call("GET", f"/nodes/{id_}")["incarnation"] > before)
    until(node.ready)
    assert node.pid == pid
    assert len(names(other, "jobd:node:lost")) == 2
    assert "this node stood still" in node.log()


def _stops(cluster: Cluster, node: ClusterNode, id_: str) -> None:
    """It has no attempt, so it leaves, and nobody gives it up for lost."""
    other = the_others(cluster, node)[0]
    node.stop()
    assert names(other, "jobd:node:left") == [id_]
    time.sleep(TIMEOUT_S + 1)
    assert len(names(other, "jobd:node:lost")) == 2
    node.launch()
    cluster.await_ready()
    assert names(other, "jobd:node:joined").count(id_) == 3
