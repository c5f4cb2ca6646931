"""Writes under an idempotency key at a real node: made once, whatever comes between."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.integration.node_process import NodeProcess, running, until


def send(
    node: NodeProcess, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    host, _, port = node.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    sent = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, sent)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, dict(answer.headers), json.loads(text) if text else None
    finally:
        connection.close()


def events(node: NodeProcess, type_: str) -> list[Any]:
    items: list[Any] = node.call("GET", f"/events?types={type_}&limit=500")["items"]
    return items


def test_many_at_once_under_one_key_make_one(node: NodeProcess) -> None:
    event = {"type": "test:once", "data": {"n": 1}}

    def one(_: int) -> int:
        return send(node, "POST", "/events", event, Idempotency_Key="once")[0]

    with ThreadPoolExecutor(16) as threads:
        statuses = Counter(threads.map(one, range(64)))
    assert statuses[201] == 1
    assert set(statuses) <= {200, 201, 409}
    assert len(events(node, "test:once")) == 1


def test_a_job_under_one_key_is_in_flight_or_replayed(node: NodeProcess) -> None:
    spec = {"name": "once", "type": "command", "cmd": "true"}

    def one(_: int) -> tuple[int, str]:
        status, headers, body = send(node, "POST", "/jobs", spec, Idempotency_Key="job-once")
        if status == 409:
            assert (body["type"], headers["Retry-After"]) == ("urn:jobd:problem:in_flight", "1")
        return status, body.get("id", "")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(one, range(64)))
    assert len({job_id for _, job_id in answers if job_id}) == 1
    assert Counter(status for status, _ in answers)[202] == 1
    assert len(node.call("GET", "/jobs?name=once")["items"]) == 1


def test_keys_outlive_the_node(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node:
        token = {"name": "ci", "scopes": ["read"]}
        event = {"type": "test:kept", "subject": "s"}
        _, _, minted = send(node, "POST", "/tokens", token, Idempotency_Key="t")
        _, headers, emitted = send(node, "POST", "/events", event)
        key = headers["Idempotency-Key"]
        node.kill()
        node.start()
        status, headers, again = send(node, "POST", "/tokens", token, Idempotency_Key="t")
        assert (status, again) == (200, {"id": minted["id"], "token": None})
        status, headers, again = send(node, "POST", "/events", event, Idempotency_Key=key)
        assert (status, again, headers["Idempotent-Replayed"]) == (200, emitted, "true")
        status, _, _ = send(node, "POST", "/events", event | {"subject": "x"}, Idempotency_Key=key)
        assert status == 422
        assert len(events(node, "test:kept")) == 1


def test_preconditions_and_revisions(node: NodeProcess) -> None:
    status, headers, _ = send(node, "PUT", "/kv/app/k", {"a": 1})
    assert status == 200
    status, _, problem = send(node, "PUT", "/kv/app/k", {"a": 2}, If_Match='"1"')
    assert (status, f'"{problem["revision"]}"') == (412, headers["ETag"])
    query = f"consistency=session&min_revision={headers['X-JobD-Revision']}"
    assert send(node, "GET", f"/kv/app/k?{query}")[0] == 200
    status, seen, _ = send(node, "GET", "/kv/app/k?consistency=linearizable")
    assert (status, seen["ETag"]) == (200, headers["ETag"])
    assert send(node, "GET", "/kv/app/k", If_None_Match=seen["ETag"])[0] == 304


def test_linearizable_reads_see_what_was_written_before(node: NodeProcess) -> None:
    def write_and_read(n: int) -> None:
        _, made, _ = send(node, "PUT", f"/kv/many/k{n}", {"n": n})
        _, seen, _ = send(node, "GET", f"/kv/many/k{n}?consistency=linearizable")
        assert seen["ETag"] == made["ETag"]
        assert int(seen["X-JobD-Revision"]) >= int(made["X-JobD-Revision"])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write_and_read, range(64)))


def test_the_node_and_its_actors_are_shown(node: NodeProcess) -> None:
    (shown,) = until(lambda: node.call("GET", "/nodes")["items"])
    assert (shown["state"], shown["conditions"], shown["executors"]) == ("up", [], ["command"])
    assert shown["addresses"]["http"] == node.url.removeprefix("http://")
    assert node.call("GET", f"/nodes/{shown['id']}")["incarnation"] == shown["incarnation"] > 0
    rows = {row["address"]: row for row in node.call("GET", "/actors?limit=500")["items"]}
    assert rows["/slot/0"]["parent"] == "/execution"
    assert rows["/replica"]["handled"] > 0
    assert rows["/replica"]["handler_s"] > 0
    assert rows["/log"]["handler_s"] > 0  # a thread's
    assert node.call("GET", "/actors/slot/0")["class"] == "ExecutorSlot"
