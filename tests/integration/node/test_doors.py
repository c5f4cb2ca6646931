"""What the HTTP door promises of a running node: idempotency, kv, tokens, events that resume."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.integration.node_process import NodeProcess, Refused, running

SPEC = {"name": "test", "type": "command", "cmd": "true"}


def refused(node: NodeProcess, *args: Any, **kwargs: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        node.call(*args, **kwargs)
    return caught.value.status, caught.value.body["detail"]


def send(
    node: NodeProcess, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Call the API and return (status, headers, body)."""
    where = urlsplit(node.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    try:
        own = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/api/v1{path}", data, {**own, **names})
        response = connection.getresponse()
        text = response.read()
        return response.status, dict(response.getheaders()), json.loads(text) if text else None
    finally:
        connection.close()


@contextmanager
def stream(node: NodeProcess, path: str, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Follow server-sent events: yields {id, event, data}."""
    where = urlsplit(node.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(
        "GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {node.token}", **names}
    )
    response = connection.getresponse()
    assert response.status == 200

    def frames() -> Iterator[dict[str, Any]]:
        frame: dict[str, Any] = {}
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                frame[name] = value
            elif "data" in frame:
                yield {**frame, "data": json.loads(frame["data"])}
                frame = {}

    try:
        yield frames()
    finally:
        connection.close()


# -- idempotency


def test_a_repeat_is_answered_as_before(node: NodeProcess) -> None:
    status, headers, made = send(node, "POST", "/jobs", SPEC, Idempotency_Key="order-1")
    assert (status, headers["Location"]) == (202, f"/api/v1/jobs/{made['id']}")
    assert "Idempotent-Replayed" not in headers
    node.ended(made["id"])
    status, headers, again = send(node, "POST", "/jobs", SPEC, Idempotency_Key="order-1")
    assert (status, headers["Idempotent-Replayed"], again) == (200, "true", made)
    other = {**SPEC, "cmd": "false"}
    status, _, problem = send(node, "POST", "/jobs", other, Idempotency_Key="order-1")
    assert (status, problem["type"]) == (422, "urn:jobd:problem:idempotency_mismatch")
    assert problem["detail"] == "the idempotency key 'order-1' was used with another body"
    assert problem["remedy"] == "send the same body again, or take a new key"


def test_the_minted_key_makes_a_repeat_safe(node: NodeProcess) -> None:
    made = node.call("POST", "/jobs", SPEC)
    assert made["idempotency_key"] == made["id"]
    status, _, again = send(node, "POST", "/jobs", SPEC, Idempotency_Key=made["id"])
    assert (status, again["id"]) == (200, made["id"])
    node.ended(made["id"])
    node.call("DELETE", f"/jobs/{made['id']}")
    status, _, problem = send(node, "POST", "/jobs", SPEC, Idempotency_Key=made["id"])
    assert status == 409
    assert problem["remedy"] == "its job may have been deleted; take a new key to run it anew"


def test_a_specs_own_key(node: NodeProcess) -> None:
    idempotency = {"key": "day-${input.day}", "ttl": "1h"}
    first = node.submit(cmd="true", idempotency=idempotency, input={"day": 1})
    assert node.submit(cmd="true", idempotency=idempotency, input={"day": 1}) == first
    assert node.submit(cmd="true", idempotency=idempotency, input={"day": 2}) != first


def test_repeats_at_the_same_moment_make_one_job(node: NodeProcess) -> None:
    def submit(nth: int) -> tuple[int, Any]:
        status, _, body = send(node, "POST", "/jobs", SPEC, Idempotency_Key="rush")
        return status, body.get("id")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, range(16)))
    assert {status for status, _ in answers} <= {200, 202, 409}
    assert [status for status, _ in answers].count(202) == 1
    assert len({job_id for _, job_id in answers if job_id}) == 1


def test_keys_survive_kill_9(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node:
        made = send(node, "POST", "/jobs", SPEC, Idempotency_Key="k")[2]
        node.kill()
        node.start()
        status, _, again = send(node, "POST", "/jobs", SPEC, Idempotency_Key="k")
        assert (status, again) == (200, made)


def test_a_batch_is_accepted_whole_or_not_at_all(node: NodeProcess) -> None:
    batch = {"jobs": [SPEC, {**SPEC, "cdm": "x"}]}
    status, _, problem = send(node, "POST", "/jobs/batch", batch)
    assert (status, [e["path"] for e in problem["errors"]]) == (422, ["$.jobs[1].cdm"])
    made = node.call("POST", "/jobs/batch", {"jobs": [SPEC] * 5})
    ids = [item["id"] for item in made["items"]]
    assert {node.ended(job_id)["state"] for job_id in ids} == {"succeeded"}
    assert len(set(ids)) == 5


# -- kv


def test_kv_with_if_match(node: NodeProcess) -> None:
    path = "/kv/app/config/main"
    assert refused(node, "GET", path) == (404, "no key 'config/main' in app")
    status, headers, made = send(node, "PUT", path, {"a": 1}, If_None_Match="*")
    assert (status, made["revision"]) == (200, int(headers["ETag"].strip('"')))
    assert send(node, "PUT", path, {"a": 2}, If_None_Match="*")[0] == 412
    first = headers["ETag"]
    status, headers, _ = send(node, "PUT", path, {"a": 2}, If_Match=first)
    assert status == 200
    status, _, problem = send(node, "PUT", path, {"a": 3}, If_Match=first)
    assert (status, problem["title"]) == (412, "Precondition failed")
    assert problem["remedy"] == "read it again, then decide"
    assert send(node, "GET", path)[2] == {"a": 2}
    assert [i["key"] for i in node.call("GET", "/kv/app?prefix=config/")["items"]] == [
        "config/main"
    ]
    assert send(node, "DELETE", path, If_Match=first)[0] == 412
    assert send(node, "DELETE", path, If_Match=headers["ETag"])[0] == 204
    assert refused(node, "DELETE", path)[0] == 404


@pytest.mark.parametrize("size", [0, 65_520])
def test_kv_keeps_bytes_as_they_are(node: NodeProcess, size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    value = value[:size]
    octets = {"Content-Type": "application/octet-stream"}
    node.call("PUT", "/kv/bytes/v", value, octets)
    request = Request(f"{node.url}/api/v1/kv/bytes/v")
    request.add_header("Authorization", f"Bearer {node.token}")
    with urlopen(request, timeout=5) as response:
        assert response.read() == value


# -- tokens


def test_scopes(node: NodeProcess) -> None:
    """Each scope does what it names and nothing else; a revoked token does nothing."""
    calls = {
        "read": ("GET", "/jobs", None),
        "run": ("POST", "/jobs", SPEC),
        "write": ("PUT", "/kv/scoped/key", {"a": 1}),
        "admin": ("GET", "/tokens", None),
    }
    own = node.token
    for scope in calls:
        made = node.call("POST", "/tokens", {"name": f"t-{scope}", "scopes": [scope]})
        try:
            node.token = made["token"]
            for needed, (method, path, body) in calls.items():
                status = send(node, method, path, body)[0]
                if needed == scope:
                    assert status in (200, 202)
                elif scope != "admin":
                    assert status == 403
            node.token = own
            node.call("DELETE", f"/tokens/{made['id']}")
            node.token = made["token"]
            method, path, body = calls[scope]
            assert send(node, method, path, body)[0] == 401
        finally:
            node.token = own


def test_no_token_no_answer(node: NodeProcess) -> None:
    other = "1" if node.token[-1] == "0" else "0"
    for credential in ("", "Basic x", "Bearer jobd_x_y", f"Bearer {node.token[:-1]}{other}"):
        code, headers, problem = send(node, "GET", "/status", Authorization=credential)
        assert (code, problem["title"]) == (401, "Not authenticated")
        assert headers["WWW-Authenticate"] == 'Bearer realm="jobd"'


# -- events


@pytest.mark.parametrize("value", ["9" * 30, "-" + "9" * 20, "[" * 600 + "]" * 600, "1e999"])
def test_an_event_that_can_not_be_stored_is_refused(node: NodeProcess, value: str) -> None:
    body = f'{{"type": "order", "data": {{"n": {value}}}}}'
    assert send(node, "POST", "/events", body.encode())[0] == 400
    deep = '{"type": "order", "data": {"n": ' + "[" * 30 + "]" * 30 + "}}"
    assert send(node, "POST", "/events", deep.encode())[0] == 201


def test_what_no_clock_reaches_and_no_integer_holds_is_refused(node: NodeProcess) -> None:
    forever = {"name": "x", "scopes": ["read"], "ttl": "9999999d"}
    assert send(node, "POST", "/tokens", forever)[0] == 400
    assert send(node, "GET", "/tokens")[0] == 200
    assert send(node, "GET", "/jobs?since=9999-12-31T23:59:59-23:59")[0] == 400
    large = {"sql": "select $1", "parameters": [10**30]}
    assert send(node, "POST", "/query", large)[0] == 400
    job = node.submit(cmd="true")
    for place in ("-1.0.0", "0.1.-5", f"0.{10**20}.{10**24}", "0.1", "x"):
        assert send(node, "GET", f"/jobs/{job}/logs/stream", Last_Event_ID=place)[0] == 400


def test_events_resume_after_a_restart(tmp_path: Path) -> None:
    """No event is missing or doubled across kill -9 for who comes back with the last id."""
    with running(tmp_path / "data") as node:
        first = node.submit(cmd="true")
        node.ended(first)
        with stream(node, "/events/stream?types=jobd:job:*&after=0-0") as frames:
            seen = [next(frames) for _ in range(2)]
        second = node.submit(cmd="true")
        node.ended(second)
        node.call("POST", "/events", {"type": "order:created", "data": {"n": 1}})
        node.kill()
        node.start()
        last = seen[-1]["id"]
        with stream(node, "/events/stream?types=jobd:job:*", Last_Event_ID=last) as frames:
            seen += [next(frames) for _ in range(4)]
            third = node.submit(cmd="true")
            seen += [next(frames) for _ in range(3)]
        told = [(f["data"]["type"].removeprefix("jobd:job:"), f["data"]["subject"]) for f in seen]
        words = ("submitted", "started", "completed")
        assert told == [(w, f"job/{j}") for j in (first, second, third) for w in words]
        assert len({frame["id"] for frame in seen}) == 9
        (custom,) = node.call("GET", "/events?types=order:*")["items"]
        assert (custom["type"], custom["data"]) == ("order:created", {"n": 1})


@pytest.mark.parametrize("last", ["x", "-1-0", "1-x", "1-0-0"])
def test_a_wrong_event_id_is_refused(node: NodeProcess, last: str) -> None:
    status, _, problem = send(node, "GET", "/events/stream", Last_Event_ID=last)
    assert (status, problem["detail"]) == (400, f"{last!r} is no event's id; they look like 42-0")
