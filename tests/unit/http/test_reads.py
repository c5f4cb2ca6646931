"""Reads over HTTP: how fresh, how filtered, how compressed, how often."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator

import pytest

from actors import limits
from jobd.api.node_views import ActorView
from jobd.http.compression import choose_coding
from jobd.http.rates import Rates
from tests.unit.http.facade import Facade, facade
from tests.unit.http.test_jobs import submit


def test_consistency(served: Facade) -> None:
    now = served.gateway.state.revision
    assert served.api("GET", "/jobs?consistency=local").status == 200
    assert served.api("GET", "/jobs?consistency=session").status == 400
    assert served.api("GET", f"/jobs?consistency=session&min_revision={now}").status == 200
    assert served.gateway.barriers == 0
    assert served.api("GET", "/jobs?consistency=linearizable").status == 200
    assert served.gateway.barriers == 1
    assert served.api("GET", "/jobs?consistency=strict").status == 400


def test_every_answer_to_whoever_was_admitted_names_its_revision(served: Facade) -> None:
    job_id = submit(served)
    for path in ("/jobs", f"/jobs/{job_id}", "/jobs/no-such", "/nothing"):
        assert served.api("GET", path).headers["X-JobD-Revision"] == str(
            served.gateway.state.revision
        )
    assert "X-JobD-Revision" not in served.api("GET", "/jobs", token=None).headers


def test_filters_are_or_within_and_and_between(served: Facade) -> None:
    a = submit(served, name="a", labels={"team": "data", "zone": "x"})
    b = submit(served, name="b", labels={"team": "web", "zone": "x"})
    c = submit(served, name="c", labels={"team": "data", "zone": "y"})

    def found(query: str) -> set[str]:
        return {item["id"] for item in served.api("GET", f"/jobs?{query}").json["items"]}

    assert found("label=team=data&label=team:web") == {a, b, c}
    assert found("label=team=data&label=zone=x") == {a}
    assert found("label=team") == {a, b, c}
    assert found("label=nothing") == set()
    assert found("name=a&name=b") == {a, b}
    assert found("state=pending&state=running&name=c") == {c}
    assert found("state=running") == set()


def test_since_and_until_bound_when_it_was_submitted(served: Facade) -> None:
    old = submit(served)
    served.gateway.now_ms += 3_600_000
    new = submit(served)
    for query, wanted in (
        ("since=10m", [new]),
        ("until=10m", [old]),
        ("since=2h", [new, old]),
        ("since=2h&until=30m", [old]),
        ("since=2027-01-15T08:30:00Z", [new]),
    ):
        items = served.api("GET", f"/jobs?{query}").json["items"]
        assert [item["id"] for item in items] == wanted, query
    assert served.api("GET", "/jobs?since=yesterday").status == 400


def test_a_page_goes_on_where_it_ended(served: Facade) -> None:
    ids = [submit(served) for _ in range(5)][::-1]
    seen, cursor = [], ""
    while True:
        page = served.api("GET", f"/jobs?limit=2&since=1h{cursor}").json
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.1, deflate;q=0.5", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=2", None),
        ("br", None),
        ("g" * 5_000, None),
    ],
)
def test_choice_of_a_coding(accept: str, coding: str | None) -> None:
    assert choose_coding(accept) == coding


def test_large_answers_are_compressed_when_asked_for(served: Facade) -> None:
    plain = served.api("GET", "/openapi.json")
    for coding, unpack in (("gzip", gzip.decompress), ("deflate", zlib.decompress)):
        packed = served.api("GET", "/openapi.json", headers={"Accept-Encoding": coding})
        assert packed.headers["Content-Encoding"] == coding
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert json.loads(unpack(packed.body)) == plain.json
        assert len(packed.body) < len(plain.body) / 4
    small = served.api("GET", "/status", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers


def test_the_etag_of_a_compressed_answer_is_the_objects(served: Facade) -> None:
    job_id = submit(served, environment={"TEXT": "x" * 2_000})
    packed = served.api("GET", f"/jobs/{job_id}", headers={"Accept-Encoding": "gzip"})
    etag = packed.headers["ETag"]
    assert etag.endswith('-gzip"')
    assert served.api("GET", f"/jobs/{job_id}", headers={"If-None-Match": etag}).status == 304
    cancel = served.api("POST", f"/jobs/{job_id}/cancel", headers={"If-Match": etag})
    assert cancel.status == 200


def test_a_bucket_empties_and_fills() -> None:
    now = 0.0
    rates = Rates("r", per_s=2, burst=4, clock=lambda: now)
    assert [rates.take("a") for _ in range(5)] == [3, 2, 1, 0, None]
    assert rates.take("b") == 3
    now = 1.0
    assert [rates.take("a") for _ in range(3)] == [1, 0, None]
    assert rates.headers(1) == {"RateLimit-Policy": '"r";q=4;w=2', "RateLimit": '"r";r=1;t=2'}


def test_buckets_are_bounded_and_the_empty_ones_last_longest() -> None:
    now = 0.0
    rates = Rates("r", per_s=1, burst=1, clock=lambda: now)
    rates.take("greedy")
    for i in range(30_000):
        rates.take(f"x{i}")
        now += 0.0001
        if i == 9_000:
            assert rates.take("greedy") is None
    assert len(rates._buckets) <= 10_000


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[Facade]:
    monkeypatch.setattr(limits, "REQUESTS_PER_S", 1)
    monkeypatch.setattr(limits, "REQUESTS_BURST", 3)
    monkeypatch.setattr(limits, "REFUSED_PER_S", 1)
    monkeypatch.setattr(limits, "REFUSED_BURST", 3)
    with facade() as one:
        yield one


def test_each_token_has_its_own_rate(strict: Facade) -> None:
    answers = [strict.api("GET", "/status") for _ in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["RateLimit"] == '"default";r=2;t=3'
    assert answers[4].headers["Retry-After"] == "1"
    assert answers[4].json["type"] == "urn:jobd:problem:busy"
    other = strict.do(strict.gateway.mint, "read")
    assert strict.api("GET", "/status", token=other).status == 200


def test_wrong_credentials_are_limited_and_shut_out_nobody_else(strict: Facade) -> None:
    wrong = [strict.api("GET", "/status", token="jobd_nobody_00").status for _ in range(5)]
    assert wrong == [401, 401, 401, 429, 429]
    assert strict.api("GET", "/status").status == 200


def test_slow_heads_are_cut_off_and_slow_bodies_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(limits, "BODY_TIMEOUT_S", 0.2)
    with facade() as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=5) as link:
            link.sendall(b"GET /healthz HTTP/1.1\r\n")
            began = time.monotonic()
            assert link.recv(100) == b""
            assert time.monotonic() - began < 3
        head = f"Host: localhost\r\nAuthorization: Bearer {one.token}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", one.port), timeout=5) as link:
            link.sendall(f"POST /api/v1/jobs HTTP/1.1\r\n{head}".encode())
            assert link.recv(100).startswith(b"HTTP/1.1 429")


def test_a_head_in_time_is_no_longer_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.3)
    with facade() as one, one.stream("/events/stream") as frames:
        time.sleep(1.6)  # a sweep is each second
        one.api("POST", "/events", {"type": "late"})
        assert next(frames)[2]["type"] == "late"


def test_connections_above_the_bound_get_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_CONNECTIONS", 2)
    with facade() as one:
        held = [socket.create_connection(("127.0.0.1", one.port), timeout=5) for _ in range(2)]
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", one.port), timeout=5) as link:
            assert link.recv(100).startswith(b"HTTP/1.1 503")
        for link in held:
            link.close()
        deadline = time.monotonic() + 5
        while True:
            try:
                assert one.ask("GET", "/healthz").status == 200
                break
            except (AssertionError, OSError):
                assert time.monotonic() < deadline


def test_a_listener_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALLED_S", 0.2)
    with facade() as one, socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(10)
        link.connect(("127.0.0.1", one.port))
        head = f"Host: localhost\r\nAuthorization: Bearer {one.token}\r\n\r\n"
        link.sendall(f"GET /api/v1/events/stream HTTP/1.1\r\n{head}".encode())
        link.recv(100)
        for _ in range(400):
            one.api("POST", "/events", {"type": "big", "data": {"text": "x" * 30_000}})
        time.sleep(1.5)
        with pytest.raises(ConnectionResetError):  # a socket that was aborted
            while True:
                if not link.recv(1 << 20):
                    raise ConnectionResetError


def test_nodes_and_cluster(served: Facade) -> None:
    (node,) = served.api("GET", "/nodes").json["items"]
    assert (node["id"], node["state"], node["slots_total"]) == ("n1", "up", 2)
    assert node["conditions"] == []
    assert served.api("GET", "/nodes/n1").json["id"] == "n1"
    assert served.api("GET", "/nodes/n2").status == 404
    (member,) = served.api("GET", "/cluster").json["members"]
    assert (member["id"], member["name"], member["state"]) == ("n1", "n1", "up")
    served.gateway.ready = (False, "the job supervisor")
    (node,) = served.api("GET", "/nodes").json["items"]
    assert node["conditions"][0]["type"] == "not_ready"


def test_actors_are_paged_and_found_by_their_address(served: Facade) -> None:
    served.gateway.live_actors = [
        ActorView(
            address=address,
            parent=None,
            class_="Home",
            state="running",
            mailbox=1,
            handled=2,
            rate=0.5,
            handler_s=0.1,
            restarts=0,
            last_error=None,
        )
        for address in ("/home", "/slot/0", "/slot/1")
    ]
    page = served.api("GET", "/actors?limit=2").json
    assert [row["address"] for row in page["items"]] == ["/home", "/slot/0"]
    page = served.api("GET", f"/actors?limit=2&cursor={page['next_cursor']}").json
    assert [row["address"] for row in page["items"]] == ["/slot/1"]
    assert len(served.api("GET", "/actors?prefix=/slot/").json["items"]) == 2
    assert served.api("GET", "/actors/slot/1").json["class"] == "Home"
    assert served.api("GET", "/actors/slot/7").status == 404
