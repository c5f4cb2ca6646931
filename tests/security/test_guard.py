"""The guard of the HTTP facade: every route and method, decided by the matched route alone."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from actors import limits
from actors.model.token import SCOPES
from jobd.http import build_app, serve
from jobd.http.app import route_table
from tests.unit.http.facade import Facade, facade
from tests.unit.http.memory_gateway import MemoryGateway

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ROUTES = [
    pytest.param(route.method, re.sub(r"{\w+(:[^}]*)?}", "x1", path), route.scope)
    for path, route in route_table()
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Facade]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "REFUSED_BURST", 1_000_000)
        with facade() as one:
            yield one


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_scope_matrix(shared: Facade, method: str, path: str, scope: str) -> None:
    """Without a token 401; with every scope but the route's 403; with it anything else."""
    if scope == "public":
        # A webhook is proven by its own scheme, and of a path that is nobody's there is none.
        assert shared.ask(method, path, token=None).status in (200, 404, 503)
        return
    assert shared.ask(method, path, token=None).status == 401
    assert shared.ask(method, path, token="jobd_nobody_00").status == 401
    others = [s for s in SCOPES if s not in (scope, "admin")]
    lacking = shared.do(shared.gateway.mint, *others)
    assert shared.ask(method, path, token=lacking).status == 403
    if "stream" not in path:
        having = shared.do(shared.gateway.mint, scope)
        assert shared.ask(method, path, token=having).status not in (401, 403)


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", "/api/v1/jobs/a/b/c", "/healthz/x"])
@pytest.mark.parametrize("method", METHODS)
def test_unknown_paths_are_denied_first(shared: Facade, method: str, path: str) -> None:
    assert shared.ask(method, path, token=None).status == 401
    assert shared.ask(method, path).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/healthz",
        "/api/v1/jobs?x=/healthz",
        "/api/v1/JOBS",
        "/api/v1//jobs",
        "/api/v1/jobs/",
        "/healthz/../api/v1/jobs",
        "/%61pi/v1/jobs",
        "/api/v1/jobs;/healthz",
        "/HEALTHZ",
        "/healthz%2f..%2fapi%2fv1%2fjobs",
    ],
)
def test_every_spelling_of_a_path_needs_a_credential(shared: Facade, path: str) -> None:
    assert shared.ask("GET", path, token=None).status == 401


@pytest.mark.parametrize("method", METHODS)
def test_wrong_method_is_405_and_only_with_a_credential(shared: Facade, method: str) -> None:
    assert shared.ask(method, "/api/v1/jobs", token=None).status == 401
    if method not in ("GET", "HEAD", "POST"):
        answer = shared.ask(method, "/api/v1/jobs")
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "[::2]", "127.0.0.1:80:80"]
)
def test_foreign_hosts_are_refused_on_every_method(shared: Facade, method: str, host: str) -> None:
    for path in ("/healthz", "/api/v1/jobs", "/api/v1/events/stream"):
        assert shared.ask(method, path, headers={"Host": host}).status in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8080"])
def test_own_hosts_pass(shared: Facade, host: str) -> None:
    assert shared.ask("GET", "/healthz", headers={"Host": host}).status == 200


def test_two_hosts_or_none_are_refused(shared: Facade) -> None:
    for hosts in (b"Host: localhost\r\nHost: evil.example\r\n", b""):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as link:
            link.sendall(b"GET /healthz HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
            status = link.makefile("rb").readline()
        assert status.split()[1] in (b"400", b"403")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_foreign_origins_are_refused(shared: Facade, method: str, headers: dict[str, str]) -> None:
    assert shared.ask(method, "/api/v1/jobs", headers=headers).status == 403


def test_own_origin_and_followed_links_pass(shared: Facade) -> None:
    own = {"Origin": shared.url, "Sec-Fetch-Site": "same-origin"}
    assert shared.ask("GET", "/api/v1/jobs", headers=own).status == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert shared.ask("GET", "/healthz", headers=link).status == 200
    assert shared.ask("POST", "/api/v1/jobs", headers=link).status == 403


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
def test_bodies_of_forms_are_refused(shared: Facade, content_type: str | None) -> None:
    body = b'{"name":"a","type":"command","cmd":"true"}'
    headers = {"Content-Type": content_type} if content_type else {}
    for method, path in (
        ("POST", "/jobs"),
        ("POST", "/jobs/batch"),
        ("POST", "/events"),
        ("POST", "/tokens"),
        ("PUT", "/kv/app/k"),
    ):
        assert shared.api(method, path, body, headers=headers).status == 415


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic {}", "Bearer {}x", "Bearer jobd__", "{}", "Bearer jobd_{}"],
)
def test_malformed_credentials_are_401(shared: Facade, authorization: str) -> None:
    sent = {"Authorization": authorization.replace("{}", shared.token)}
    answer = shared.api("GET", "/jobs", token=None, headers=sent)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_security_headers_are_on_every_answer(shared: Facade) -> None:
    for path, token in (("/healthz", None), ("/api/v1/jobs", None), ("/api/v1/status", "")):
        headers = shared.ask("GET", path, token=token).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "jobd"
        assert headers["X-Request-ID"]
        assert "Access-Control-Allow-Origin" not in headers


def test_hostile_request_id_is_replaced(shared: Facade) -> None:
    answer = shared.ask("GET", "/healthz", headers={"X-Request-ID": "<script>"})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"{", b""])
def test_hostile_json_is_a_problem(shared: Facade, body: bytes) -> None:
    for path in ("/jobs", "/jobs/batch", "/events", "/tokens"):
        answer = shared.api("POST", path, body, headers={"Content-Type": "application/json"})
        assert answer.status in (400, 422)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_refusals_are_logged_without_the_credential(
    shared: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    shared.api("GET", "/jobs", token="jobd_someone_verysecret")
    assert "refused for its credential" in caplog.text
    assert "verysecret" not in caplog.text


def test_named_hosts_and_no_auth() -> None:
    with facade(auth_enabled=False, allowed_hosts=("jobs.example",)) as one:
        named = {"Host": "jobs.example:8080"}
        assert one.api("GET", "/tokens", token=None, headers=named).status == 200
        assert one.api("GET", "/jobs", token=None, headers={"Host": "x.example"}).status == 403
        foreign = {"Origin": "http://evil.example"}
        assert one.api("POST", "/jobs", token=None, headers=foreign).status == 403


def test_undeclared_route_does_not_start() -> None:
    async def start() -> None:
        app = build_app(MemoryGateway(), clock=lambda: 0)

        async def leak(request: web.Request) -> web.Response:
            return web.Response(text="oh")

        app.router.add_get("/leak", leak)
        await serve(app, "127.0.0.1", 0)

    with pytest.raises(RuntimeError, match="no declared scope"):
        asyncio.run(start())


def test_taken_port_is_a_clear_error(shared: Facade) -> None:
    async def start() -> Any:
        return await serve(build_app(MemoryGateway(), clock=lambda: 0), "127.0.0.1", shared.port)

    with pytest.raises(Exception, match="is taken by another process") as caught:
        asyncio.run(start())
    assert "--http" in getattr(caught.value, "remedy", "")
