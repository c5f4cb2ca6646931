"""Specs that a node must refuse: all errors at once, each with its place, and nothing done."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from actors import limits
from tests.integration.node_process import NodeProcess, Refused

YAML = {"Content-Type": "application/yaml"}
GOOD = {"name": "test", "type": "command", "cmd": "true"}
ALIAS_BOMB = b"a: &a [lol, lol]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % ((c, c) + (c - 1,) * 9)
    for c in b"bcdefghi"
)


def refused(node: NodeProcess, body: Any, headers: dict[str, str] | None = None) -> Refused:
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        node.call("POST", "/jobs", body, headers)
    assert time.monotonic() - began < 5
    return caught.value


def places(error: Refused) -> list[tuple[str, int, int, str]]:
    assert (error.status, error.body["title"]) == (422, "Invalid spec")
    return [(e["path"], e["line"], e["column"], e["message"]) for e in error.body["errors"]]


def test_every_error_with_its_place(node: NodeProcess) -> None:
    """Unknown keys, wrong types, impossible values: one answer lists them all."""
    text = b"""name: Build Image
type: command
cdm: make
cmd: make
priority: high
tasks: true
timeout: 5
retry: {max_attempts: 0, bakoff: linear}
environment: {A: [1], 1B: x}
resources: {gpu: 1}
"""
    assert places(refused(node, text, YAML)) == [
        (
            "$.name", 1, 1,
            "expected a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters,"
            ' got "Build Image"',
        ),
        ("$.cdm", 3, 1, 'unknown key "cdm"; did you mean cmd?'),
        ("$.priority", 5, 1, 'expected a whole number from 0 to 100, got "high"'),
        ("$.tasks", 6, 1, "expected a whole number from 1 to 10000, got true"),
        (
            "$.timeout", 7, 1,
            "expected a duration such as 10s, 5m or 1h30m, got 5; timeout_secs takes whole seconds",
        ),
        ("$.retry.max_attempts", 8, 9, "expected a whole number from 1 to 1000, got 0"),
        ("$.retry.bakoff", 8, 26, 'unknown key "bakoff"; did you mean backoff?'),
        ("$.environment.A", 9, 15, "expected text or {secret: NAME}, got a list"),
        (
            '$.environment["1B"]', 9, 23,
            'expected the name of an environment variable, got "1B"',
        ),
        ("$.resources.gpu", 10, 13, 'unknown key "gpu"; known here: cpu, memory'),
    ]  # fmt: skip


SPEC = b'"type": "command", "cmd": "x"'


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (ALIAS_BOMB, "$.a", "the anchor &a is refused; write the value out"),
        (b"[" * 100_000 + b"]" * 100_000, "$", "nested deeper than SPEC_DEPTH (32)"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "$", "nested deeper than SPEC_DEPTH (32)"),
        (b"name: !!python/object/apply:os.system [id]", "$.name", "a tag is refused"),
        (b"\xff\xfe", "$", "not UTF-8 at byte 0"),
        (b"", "$", "expected a mapping with name and type, got null"),
        (b"[]", "$", "expected a mapping with name and type, got a list"),
        (b"{", "$", ""),
        (b"name: a\n---\nname: b", "$", "one spec per text; a second begins"),
        (b'{"name": "a\\u0000b", %b}' % SPEC, "$.name", "holds the character U+0000 at 1"),
        (b'{"name": "../../etc", %b}' % SPEC, "$.name", "expected a name of"),
        (b'{"name": "a", "name": "b", %b}' % SPEC, "$.name", 'the key "name" stands here twice'),
        (
            b'{"name": "a", %b, "args": ["\\u0000"]}' % SPEC,
            "$.args[0]",
            "holds the character U+0000",
        ),
        (b'{"name": "a", %b, "user": "a/../b"}' % SPEC, "$.user", "expected a user's name"),
        (b'{"name": "a", %b, "input": NaN}' % SPEC, "$", ""),
        (b'{"name": "a", "type": "js", "module": "../a"}', "$.module", "expected a module's name"),
    ],
)
def test_texts(node: NodeProcess, body: bytes, path: str, message: str) -> None:
    (found, *_) = places(refused(node, body, YAML))
    assert found[3].startswith(message)
    assert found[0].startswith(path)
    assert (found[1] > 0, found[2] > 0) == (True, True)
    assert len(json.dumps(found)) < 1_000


@pytest.mark.parametrize("size", [limits.BODY_BYTES + 1, 5_000_000])
def test_a_body_that_is_too_large(node: NodeProcess, size: int) -> None:
    body = json.dumps({**GOOD, "input": "x" * size}).encode()
    error = refused(node, body)
    assert (error.status, error.body["title"]) == (413, "Too large")
    assert error.body["detail"] == "the body is larger than 1048576 bytes (BODY_BYTES)"
    assert error.body["remedy"] == "Put large inputs where the job can fetch them."


def test_a_spec_that_is_too_large(node: NodeProcess) -> None:
    error = refused(node, {**GOOD, "input": "x" * 60_000})
    assert error.status == 413
    assert "SPEC_BYTES is 49152" in error.body["detail"]
    assert error.body["remedy"] == "Keep large inputs in files or artifacts that the job reads."


@pytest.mark.parametrize("args", [["x" * 2**20], ["x"] * 2**19, ["x" * 1000] * 1000])
def test_an_argv_of_a_mebibyte(node: NodeProcess, args: list[str]) -> None:
    """Past the body's limit 413; within it, by the limit of arguments; never a broken spawn."""
    error = refused(node, {**GOOD, "args": args})
    if error.status == 413:
        assert "1048576 bytes (BODY_BYTES)" in error.body["detail"]
    else:
        ((path, *_, message),) = places(error)
        assert path == "$.args"
        assert message.endswith("; ARGV_BYTES is 131072")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "a%00b", "%2e%2e"])
@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/logs", "/kv/{}/key", "/events/{}", "/{}"])
def test_names_that_lead_elsewhere(node: NodeProcess, path: str, name: str) -> None:
    for method in ("GET", "DELETE"):
        with pytest.raises(Refused) as caught:
            node.call(method, path.format(name))
        assert caught.value.status in (400, 404, 405)
        assert caught.value.body["title"]


def test_kv_keys_are_no_paths(node: NodeProcess) -> None:
    """A key is one string to the store: dots and slashes mean nothing."""
    node.call("PUT", "/kv/app/..%2f..%2fsecrets", {"a": 1})
    assert [i["key"] for i in node.call("GET", "/kv/app")["items"]] == ["../../secrets"]
    assert not list(node.data.parent.rglob("secrets"))
    for key in ("a%00b", "a%7fb", "%C3%A9", "k" * 257):
        with pytest.raises(Refused) as caught:
            node.call("PUT", f"/kv/app/{key}", {"a": 1})
        assert caught.value.status == 400
        assert caught.value.body["detail"] == "a key has 1 to 256 visible ASCII characters"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "detail"),
    [
        ("POST", "/jobs", b"name=a", {"Content-Type": "text/plain"}, 415, "this route takes"),
        ("POST", "/jobs", GOOD, {"Idempotency-Key": "a b"}, 400, "Idempotency-Key must be 1 to"),
        ("POST", "/jobs/batch", {"jobs": []}, {}, 400, "the body is not what this route"),
        ("POST", "/jobs/batch", {"jobs": [1]}, {}, 400, "the body is not what this route takes"),
        ("POST", "/jobs/batch", b'{"jobs":' + b"[" * 100_000, {}, 400, "the body is not what"),
        ("POST", "/events", {"type": "jobd:job:failed"}, {}, 400, "types that begin with jobd:"),
        ("POST", "/events", {"type": "a", "typ": 1}, {}, 400, "the body is not what this route"),
        ("POST", "/events", {"type": "a", "data": {"a": "\udc00"}}, {}, 400, "the body is not"),
        ("POST", "/tokens", {"name": "a", "scopes": ["root"]}, {}, 400, "the body is not what"),
        ("POST", "/tokens", {"name": "a", "scopes": []}, {}, 400, "the body is not what this"),
        ("POST", "/tokens", {"name": "../a", "scopes": ["read"]}, {}, 400, "a token's name must"),
        ("POST", "/tokens", {"name": "a", "scopes": ["read"], "ttl": "x"}, {}, 400, "ttl must be"),
        ("GET", "/jobs?limit=501", None, {}, 400, "limit must be 1 to 500"),
        ("GET", "/jobs?cursor=x", None, {}, 400, ""),
        ("GET", "/jobs?state=done", None, {}, 400, "query parameter state: Invalid enum"),
        ("GET", "/jobs?stat=failed", None, {}, 400, "unknown query parameter 'stat'"),
        ("GET", "/events?after=9999999999999999999999-0", None, {}, 400, "'9999"),
        ("GET", "/jobs?min_revision=99999999999999999999", None, {}, 400, "query parameter"),
        ("GET", "/status", {"a": 1}, {}, 400, "this route takes no body"),
        ("GET", "/status", None, {"Host": "evil.example"}, 403, "the host evil.example is not"),
        ("GET", "/status", None, {"Origin": "http://evil.example"}, 403, "requests of other"),
        ("PATCH", "/jobs", None, {}, 405, "this path does not take PATCH"),
        ("GET", "/broadcast", None, {}, 404, "no such route"),
    ],
)
def test_requests(
    node: NodeProcess,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    detail: str,
) -> None:
    if status == 200:
        node.call(method, path, body, headers)
        return
    with pytest.raises(Refused) as caught:
        node.call(method, path, body, headers)
    assert caught.value.status == status
    assert caught.value.body["detail"].startswith(detail)
    assert len(caught.value.body["detail"]) < 500
