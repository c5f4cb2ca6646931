"""Spellings of a path: whatever a proxy or a router makes of them, none gets past the credential.

Each family is made from every route. Without a token the answer is never a success (unless the
spelling is just a public route), and with one it is never another route's object than the path that
matched says: authorization and dispatch have one matcher.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from actors import limits
from jobd.api.route import SSE
from jobd.http.app import build_metrics_app, route_table
from tests.unit.http.facade import Facade, facade

PATHS: Final = sorted(
    {re.sub(r"{\w+(:[^}]*)?}", "x1", p) for p, r in route_table() if r.scope != "public"}
)
FAMILIES: Final[dict[str, Callable[[str], str]]] = {
    "upper case": str.upper,
    "title case": str.title,
    "two slashes": lambda p: "/" + p,
    "two slashes inside": lambda p: p.replace("/v1/", "/v1//"),
    "dot segment": lambda p: p.replace("/v1/", "/v1/./"),
    "encoded dot segment": lambda p: p.replace("/v1/", "/v1/%2e/"),
    "dot dot": lambda p: "/healthz/.." + p,
    "encoded dot dot": lambda p: "/healthz/%2e%2e" + p,
    "encoded slash": lambda p: "/healthz%2f.." + p,
    "encoded slashes": lambda p: "/" + p[1:].replace("/", "%2f"),
    "twice encoded": lambda p: "/healthz%252f%252e%252e" + p,
    "backslash": lambda p: "/healthz\\..\\" + p[1:],
    "trailing dot": lambda p: p + ".",
    "trailing slash": lambda p: p + "/",
    "trailing space": lambda p: p + "%20",
    "parameters": lambda p: p + ";/healthz",
    "parameters inside": lambda p: p.replace("/v1/", "/v1;x=1/"),
    "public end": lambda p: p + "/healthz",
    "public query": lambda p: p + "?/healthz",
    "public fragment": lambda p: p + "%23/healthz",
    "NUL": lambda p: p + "%00/healthz",
    "overlong dot": lambda p: "/healthz/%c0%ae%c0%ae" + p,
    "overlong slash": lambda p: "/healthz%c0%af.." + p,
    "letter encoded": lambda p: p.replace("a", "%61", 1),
    "extension": lambda p: p + ".json",
}
TARGETS: Final = {
    "absolute form": "http://127.0.0.1/api/v1/jobs",
    "foreign absolute form": "http://evil.example/api/v1/jobs",
    "absolute form of another path": "http://127.0.0.1/healthz/../api/v1/jobs",
    "authority in the path": "//healthz/api/v1/jobs",
    "asterisk": "*",
    "bare": "api/v1/jobs",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Facade]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REFUSED_BURST", "REQUESTS_BURST"):
            patch.setattr(limits, name, 1_000_000)
        with facade() as one:
            yield one


@pytest.mark.parametrize("family", FAMILIES)
def test_no_spelling_gets_past_the_credential(shared: Facade, family: str) -> None:
    for path in PATHS:
        for method in ("GET", "POST", "DELETE"):
            status = _ask(shared, method, FAMILIES[family](path))
            assert status in (400, 401), (method, FAMILIES[family](path), status)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_without_the_scope_gets_nowhere_by_a_spelling(shared: Facade, family: str) -> None:
    reader = shared.do(shared.gateway.mint, "read")
    for path, route in route_table():
        if route.scope in ("public", "read"):
            continue
        spelled = FAMILIES[family](re.sub(r"{\w+(:[^}]*)?}", "x1", path))
        status = _ask(shared, route.method, spelled, token=reader)
        assert status >= 400, (route.method, spelled, status)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_other_forms_of_a_target(shared: Facade, target: str) -> None:
    assert _ask(shared, "GET", target) in (400, 401, 403)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "2130706433"},
        {"Host": "0x7f.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
    ],
    ids=str,
)
def test_foreign_pages_are_refused_on_every_route(
    shared: Facade, method: str, headers: dict[str, str]
) -> None:
    """Whatever the route, a stream too, and whatever the method; the token is a valid one."""
    streams = [path for path, route in route_table() if route.produces == SSE]
    for path in ["/healthz", "/api/v1/jobs", "/api/v1/nothing", *streams]:
        status = _ask(shared, method, path.replace("{id}", "x1"), shared.token, headers)
        assert status in (400, 403), (path, status)


def test_the_metrics_port_has_the_same_guard() -> None:
    with facade() as one:
        one.stop_serving()
        one.serve_app(build_metrics_app(CollectorRegistry()))
        assert _ask(one, "GET", "/metrics") == 200
        assert _ask(one, "GET", "/metrics", None, {"Host": "evil.example"}) == 403
        assert _ask(one, "GET", "/metrics", None, {"Origin": "http://evil.example"}) == 403
        assert _ask(one, "POST", "/metrics", None, {"Sec-Fetch-Site": "cross-site"}) == 403


def _ask(
    shared: Facade,
    method: str,
    target: str,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> int:
    """Send a target as it is, which no library does; return the status."""
    sent = {"Host": f"127.0.0.1:{shared.port}", "Connection": "close"} | (headers or {})
    if token:
        sent["Authorization"] = f"Bearer {token}"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in sent.items())]
    with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        status = link.makefile("rb").readline()
    return int(status.split()[1])
