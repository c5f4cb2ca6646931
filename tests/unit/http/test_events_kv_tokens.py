"""Events, values, tokens and the node's own routes over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from jobd.http.app import route_table
from tests.unit.http.facade import Facade
from tests.unit.http.test_jobs import SPEC, submit


def emit(served: Facade, type_: str, **data: Any) -> str:
    answer = served.api("POST", "/events", {"type": type_, "subject": "s", "data": data})
    assert answer.status == 201, answer.body
    id_ = answer.json["id"]
    assert isinstance(id_, str)
    return id_


def test_events_are_listed_in_order_and_paged(served: Facade) -> None:
    job_id = submit(served)
    emitted = emit(served, "order:created", n=1)
    page = served.api("GET", "/events?limit=1").json
    assert [e["type"] for e in page["items"]] == ["jobd:job:submitted"]
    assert page["items"][0]["data"]["job"] == job_id
    page = served.api("GET", f"/events?after={page['next_cursor']}").json
    assert [(e["id"], e["data"]) for e in page["items"]] == [(emitted, {"n": 1})]
    assert (page["next_cursor"], page["gap"]) == (None, False)
    globs = served.api("GET", "/events?types=order:*,x").json["items"]
    assert [e["id"] for e in globs] == [emitted]
    of_job = served.api("GET", f"/jobs/{job_id}/events").json["items"]
    assert [e["type"] for e in of_job] == ["jobd:job:submitted"]
    assert served.api("GET", "/events?after=x").status == 400


def test_a_filter_looks_into_the_data(served: Facade) -> None:
    wanted = [emit(served, "a", n=n, s="x", deep=[{"b": n % 2 == 0}]) for n in range(5)]

    def ids(query: str) -> list[str]:
        return [e["id"] for e in served.api("GET", f"/events?types=a&{query}").json["items"]]

    assert ids("filter=n=3") == [wanted[3]]
    assert ids("filter=deep.0.b=true&filter=s=x") == wanted[::2]
    assert ids("filter=n=true") == ids('filter=s="y"') == ids("filter=none=null") == []
    first = served.api("GET", "/events?types=a&filter=s=x&limit=2").json
    assert [e["id"] for e in first["items"]] == wanted[:2]
    assert ids(f"filter=s=x&after={first['next_cursor']}") == wanted[2:]
    for bad in ("filter=n", "filter==1", "filter=a=1&" * 17):
        assert served.api("GET", f"/events?{bad}").status == 400
    with served.stream("/events/stream?types=a&filter=n=9") as frames:
        emit(served, "a", n=8)
        last = emit(served, "a", n=9)
        assert next(frames)[:2] == ("event", last)


def test_what_a_job_emits_says_so(served: Facade) -> None:
    job_id = submit(served)
    named = {"JobD-Job": job_id}
    assert served.api("POST", "/events", {"type": "x"}, headers=named).status == 201
    assert served.api("POST", "/events", {"type": "y"}, headers={"JobD-Job": "no"}).status == 201
    x, y = served.api("GET", "/events?types=x,y").json["items"]
    assert (x["cause"], y["cause"]) == ({"kind": "job", "id": job_id, "depth": 0}, None)


def test_gap_is_said(served: Facade) -> None:
    emit(served, "a"), emit(served, "b")
    served.gateway.floor = (served.gateway.state.revision - 1, 5)
    assert served.api("GET", "/events?after=1-0").json["gap"] is True
    with served.stream("/events/stream?after=1-0") as frames:
        assert next(frames)[0] == "gap"
        assert next(frames)[2]["type"] == "b"


def test_event_stream_begins_now_and_resumes_after_any_id(served: Facade) -> None:
    first = emit(served, "a")
    with served.stream("/events/stream?types=a&types=b") as frames:
        emit(served, "c")
        second = emit(served, "b")
        assert next(frames)[:2] == ("event", second)
    with served.stream("/events/stream", Last_Event_ID=first) as frames:
        assert [next(frames)[2]["type"] for _ in range(2)] == ["c", "b"]


@pytest.mark.parametrize("type_", ["jobd:job:started", "", "a\nb", "x" * 129])
def test_system_and_nameless_types_are_refused(served: Facade, type_: str) -> None:
    assert served.api("POST", "/events", {"type": type_}).status == 400


def put(served: Facade, path: str, value: bytes, **headers: str) -> Any:
    sent = {"Content-Type": "application/octet-stream"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    return served.api("PUT", path, value, headers=sent)


def test_kv_round_trip_with_any_bytes(served: Facade) -> None:
    made = put(served, "/kv/app/a/b", b"\x00\xff")
    assert made.status == 200
    got = served.api("GET", "/kv/app/a/b")
    assert (got.body, got.headers["ETag"]) == (b"\x00\xff", made.headers["ETag"])
    assert served.api("DELETE", "/kv/app/a/b").status == 204
    assert served.api("GET", "/kv/app/a/b").status == 404
    assert served.api("DELETE", "/kv/app/a/b").status == 404


def test_kv_is_conditional(served: Facade) -> None:
    etag = put(served, "/kv/app/k", b"1", If_None_Match="*").headers["ETag"]
    assert put(served, "/kv/app/k", b"2", If_None_Match="*").status == 412
    assert put(served, "/kv/app/k", b"2", If_Match=etag).status == 200
    stale = put(served, "/kv/app/k", b"3", If_Match=etag)
    assert stale.status == 412
    assert stale.json["type"] == "urn:jobd:problem:precondition_failed"
    assert put(served, "/kv/app/k", b"3", If_Match="W/x").status == 400
    assert served.api("DELETE", "/kv/app/k", headers={"If-Match": etag}).status == 412


def test_kv_lists_and_limits(served: Facade) -> None:
    for key in ("a", "b", "c1", "c2"):
        put(served, f"/kv/app/{key}", b"v")
    put(served, "/kv/apple/x", b"v")
    page = served.api("GET", "/kv/app?limit=3").json
    assert [item["key"] for item in page["items"]] == ["a", "b", "c1"]
    page = served.api("GET", f"/kv/app?limit=3&cursor={page['next_cursor']}").json
    assert [item["key"] for item in page["items"]] == ["c2"]
    assert len(served.api("GET", "/kv/app?prefix=c").json["items"]) == 2
    assert put(served, "/kv/app/big", b"x" * 65_536).status == 413
    assert put(served, "/kv/Bad/k", b"x").status == 400
    assert put(served, "/kv/app/%00", b"x").status == 400


def test_tokens_are_minted_used_and_revoked(served: Facade) -> None:
    made = served.api("POST", "/tokens", {"name": "ci", "scopes": ["read"], "ttl": "1m"})
    assert made.status == 201
    token = made.json["token"]
    listed = served.api("GET", "/tokens").json["items"]
    assert [t["scopes"] for t in listed if t["id"] == made.json["id"]] == [["read"]]
    assert token.split("_")[2] not in str(listed)
    assert served.api("GET", "/jobs", token=token).status == 200
    assert served.api("POST", "/jobs", SPEC, token=token).status == 403
    served.gateway.now_ms += 60_000
    assert served.api("GET", "/jobs", token=token).status == 401
    assert served.api("DELETE", f"/tokens/{made.json['id']}").status == 204
    assert served.api("DELETE", f"/tokens/{made.json['id']}").status == 404


def test_a_revoked_token_hears_nothing_more(served: Facade) -> None:
    token = served.do(served.gateway.mint, "read")
    authorization = {"Authorization": f"Bearer {token}"}
    with served.stream("/events/stream?types=order", **authorization) as frames:
        served.api("POST", "/events", {"type": "order", "data": {"n": 1}})
        assert next(frames)[2]["data"] == {"n": 1}
        served.do(served.gateway.revoke, token)
        served.api("POST", "/events", {"type": "order", "data": {"n": 2}})
        assert list(frames) == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "Bad Name", "scopes": ["read"]},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": ["read"], "ttl": "-1s"},
        {"name": "x", "scopes": ["read"], "ttl": "0s"},
        {"name": "x", "scopes": ["read"], "more": 1},
        [],
    ],
)
def test_bad_token_requests_are_400(served: Facade, body: Any) -> None:
    assert served.api("POST", "/tokens", body).status == 400


def test_health_needs_no_token_and_status_does(served: Facade) -> None:
    assert served.ask("GET", "/healthz", token=None).json == {"ok": True}
    assert served.ask("GET", "/readyz", token=None).status == 200
    served.gateway.ready = (False, "replaying the log")
    answer = served.ask("GET", "/readyz", token=None)
    assert (answer.status, answer.json["reason"]) == (503, "replaying the log")
    assert served.api("GET", "/status", token=None).status == 401
    assert served.api("GET", "/status").json["slots_total"] == 2


def test_openapi_names_every_route_and_its_references_resolve(served: Facade) -> None:
    document = served.api("GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    operations = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert sorted(operations) == sorted(route.operation for _, route in route_table())
    assert len(set(operations)) == len(operations)
    assert "/api/v1/kv/{namespace}/{key}" in document["paths"]
    for reference in _references(document):
        _, _, kind, name = reference.split("/")
        assert name in document["components"][kind], reference


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []


def test_metrics_have_their_own_app() -> None:
    import asyncio

    from aiohttp.test_utils import TestClient, TestServer

    from jobd.http import build_metrics_app

    registry = CollectorRegistry()
    Counter("jobd_jobs_completed", "Jobs that succeeded", registry=registry).inc()

    async def ask() -> tuple[int, str, int]:
        async with TestClient(TestServer(build_metrics_app(registry))) as client:
            answer = await client.get("/metrics")
            foreign = await client.get("/metrics", headers={"Host": "evil.example"})
            return answer.status, await answer.text(), foreign.status

    status, text, foreign = asyncio.run(ask())
    assert (status, foreign) == (200, 403)
    assert "jobd_jobs_completed_total 1.0" in text
