"""The audit trail of a real node: over kills, at both doors, against tampering."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobd.client import Client
from tests.integration.doors.conftest import Jobctl
from tests.integration.node_process import NodeProcess, Refused, running, until

BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running(tmp_path / "data", "--slots", "2", "--cluster", "127.0.0.1:0") as started:
        yield started


def records(node: NodeProcess, **query: str) -> list[dict[str, Any]]:
    text = "&".join(f"{key}={value}" for key, value in {"limit": "500", **query}.items())
    items: list[dict[str, Any]] = node.call("GET", f"/audit?{text}")["items"]
    return items


def test_every_acknowledged_change_is_there_after_a_kill(node: NodeProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: node.submit(cmd="true", name=f"job-{i}"), range(40)))
    until(lambda: len(records(node, operation="submit_job")) == len(made))
    node.kill()
    node.start()
    assert len(records(node, operation="submit_job")) == len(made)
    assert node.call("GET", "/audit/verify")["whole"] is True
    starts = records(node, operation="start_node")
    assert len(starts) == 2
    assert {record["actor"] for record in starts} == {"node"}
    assert [record["name"] for record in records(node, operation="submit_job", limit="1")] == [
        "admin"
    ]


def test_both_doors_leave_records(node: NodeProcess) -> None:
    cluster = json.loads((node.data / "run" / "node.json").read_text())["cluster"]
    node.call("PUT", "/kv/a/http", b"x", BYTES)
    with Client(cluster, token=node.token) as client:
        client.kv.put("a", "wire", b"x")
        reader = client.tokens.create("reader", ["read"])
    with Client(cluster, token=reader.token) as client, pytest.raises(Exception, match="scope"):
        client.kv.put("a", "denied", b"x")
    put = until(lambda: len(found := records(node, operation="put_value")) == 3 and found)
    assert [(r["door"], r["decision"]) for r in put] == [
        ("wire", "denied"),
        ("wire", "allowed"),
        ("http", "allowed"),
    ]


def test_a_flood_of_refusals_writes_little(node: NodeProcess) -> None:
    token, node.token = node.token, "jobd_nobody_00"
    for _ in range(300):
        with pytest.raises(Refused):
            node.call("GET", "/jobs")
    node.token = token
    assert len(records(node, decision="denied")) <= 2
    assert sum(file.stat().st_size for file in (node.data / "audit").iterdir()) < 4096


def test_tampering_is_found_by_jobctl(node: NodeProcess) -> None:
    for i in range(5):
        node.call("PUT", f"/kv/a/{i}", b"x", BYTES)
    until(lambda: len(records(node, operation="put_value")) == 5)
    jobctl = Jobctl(node.data)
    whole = jobctl("audit", "verify", "-o", "json")
    assert whole.code == 0
    head = json.loads(whole.out)["head"]
    (file,) = (node.data / "audit").iterdir()
    text = file.read_text()
    file.write_text(text.replace("/kv/a/2", "/kv/b/2"))
    found = jobctl("audit", "verify")
    assert found.code == 76
    assert "does not follow" in found.err
    node.stop()
    file.write_text("".join(text.splitlines(keepends=True)[:-2]))
    node.start()
    assert jobctl("audit", "verify").code == 0
    assert jobctl("audit", "verify", "--head", head).code == 76


def test_nothing_confidential_is_in_it(node: NodeProcess) -> None:
    node.call("PUT", "/secrets/db", b"hunter2-hunter2", BYTES)
    minted = node.call("POST", "/tokens", {"name": "ci", "scopes": ["read"]})
    until(lambda: records(node, operation="create_token"))
    text = "".join(file.read_text() for file in (node.data / "audit").iterdir())
    assert "hunter2" not in text
    assert minted["token"].rpartition("_")[2] not in text
    assert node.token.rpartition("_")[2] not in text
