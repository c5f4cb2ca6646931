"""Whatever comes in, the facade answers with success or a problem: never a 5xx, never a hang."""

from __future__ import annotations

import re
import socket
import string
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobd.http.app import route_table
from tests.unit.http.facade import Facade, facade

TABLE = [(path, route) for path, route in route_table() if "stream" not in path]
NAMES = sorted({name for _, route in TABLE for name in route.query.__struct_fields__} | {"x"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "type", "cmd", "jobs", "data", "scopes", "reason", "\x00"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TEXT = st.text(min_size=1, max_size=24) | st.sampled_from(
    ["..", "%00", "0", "-1", "9" * 30, "null", "app", "a/b", "7" + "z" * 25, "1e9", "\ud83d\ude00"]
)
HEADERS = st.dictionaries(
    st.sampled_from(["If-Match", "If-None-Match", "Idempotency-Key", "Accept", "X-Request-ID"]),
    st.text(string.printable.strip(), max_size=40),
    max_size=3,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Facade]:
    with facade() as one:
        yield one


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_request_gets_an_answer_or_a_problem(shared: Facade, data: st.DataObject) -> None:
    path, route = data.draw(st.sampled_from(TABLE))
    for parameter in re.findall(r"{[^}]*}", path):
        path = path.replace(parameter, _quoted(data.draw(TEXT)), 1)
    query = data.draw(st.lists(st.tuples(st.sampled_from(NAMES), TEXT), max_size=4))
    waits = [pair for pair in query if pair[0] not in ("wait", "min_revision")]
    if waits:
        path += "?" + "&".join(f"{name}={_quoted(value)}" for name, value in waits)
    headers = data.draw(HEADERS)
    body: object = None
    if route.body is not None:
        body = data.draw(JSON | st.binary(max_size=64))
        if isinstance(body, bytes):
            headers["Content-Type"] = data.draw(st.sampled_from([*route.accepts, "text/plain"]))
    answer = shared.ask(route.method, path, body, headers=headers)
    assert answer.status < 500, (route.method, path, body, headers, answer.body)
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == answer.status


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_on_the_socket_do_no_harm(shared: Facade, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as link:
        link.sendall(sent + b"\r\n\r\n")
        link.shutdown(socket.SHUT_WR)
        answer = link.makefile("rb").read()
    assert not answer.startswith(b"HTTP/1.1 5")
    assert shared.ask("GET", "/healthz").status == 200


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
