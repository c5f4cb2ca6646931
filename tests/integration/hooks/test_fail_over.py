"""Three real nodes: events start one job each and are delivered, though the home is killed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.three import Three, three
from tests.integration.hooks.receiver import receiving
from tests.integration.node_process import NodeProcess, Refused, until

EVENTS = 24
SETTINGS = {
    "HOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "CLUSTER__FAILURE_TIMEOUT_MS": "2000",
    "CLUSTER__HEARTBEAT_INTERVAL_MS": "400",
}
SPEC = {
    "name": "each",
    "type": "command",
    "cmd": "true",
    "idempotent": True,
    "trigger": {"event": "order:*"},
}


def jobs(node: NodeProcess) -> list[str]:
    """Return the events that jobs were started for."""
    items = node.call("GET", "/jobs?name=each&limit=500")["items"]
    return sorted(item["cause"]["id"] for item in items)


def emit(nodes: list[NodeProcess], number: int) -> str:
    """Emit at whichever node answers, under a key of its own."""
    body, key = {"type": "order:made", "data": {"n": number}}, {"Idempotency-Key": f"e{number}"}
    deadline = time.monotonic() + 30
    while True:
        for node in nodes:
            try:
                return str(node.call("POST", "/events", body, key)["id"])
            except (Refused, OSError):
                assert time.monotonic() < deadline, "no node takes it"
        time.sleep(0.1)


def home_of(cluster: Three, key: str) -> int:
    """Return the number of the node that is killed: it sends the hook."""
    from actors.core.homes import _ranked

    ids = {cluster.nodes[n].call("GET", "/status")["node"]: n for n in (1, 2, 3)}
    return ids[_ranked(tuple(ids), key)[0]]


def test_each_event_fires_once_and_is_delivered_though_the_home_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"JOBD_CFG_{name}", value)
    with receiving() as receiver, three(tmp_path) as cluster:
        one = cluster.nodes[1]
        one.call("POST", "/jobs", SPEC)
        one.call("PUT", "/hooks/h", {"on": "order:*", "webhook": {"url": receiver.url}})
        emitted: list[str] = []
        victim = home_of(cluster, "trigger/each")
        left = [cluster.nodes[n] for n in (1, 2, 3) if n != victim]
        for number in range(EVENTS):
            if number == EVENTS // 2:
                cluster.nodes[victim].kill()
            emitted.append(emit(left, number))
        begun = time.monotonic()
        until(lambda: len(jobs(left[0])) >= EVENTS, 30)
        took_s = time.monotonic() - begun
        assert jobs(left[0]) == sorted(emitted)

        def delivered() -> Any:
            items = left[0].call("GET", "/hooks/h/deliveries?limit=500")["items"]
            done = [item["id"] for item in items if item["state"] == "delivered"]
            return sorted(done) == sorted(emitted)

        until(delivered, 30)
        ids = {came.headers["webhook-id"] for came in receiver.came}
        assert ids == {f"msg_h_{id_}" for id_ in emitted}
        assert len(receiver.came) <= EVENTS + 4  # what was on its way when the home died
        assert took_s < 15
