"""Bytes that are no HTTP, or no HTTP that a browser or a client would send."""

from __future__ import annotations

import gzip
import socket
from urllib.parse import urlsplit

import pytest

from tests.integration.node_process import NodeProcess

SPEC = b'{"name": "a", "type": "command", "cmd": "true"}'
POST = b"POST /api/v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\n"


def answer(node: NodeProcess, start: bytes, rest: bytes = b"\r\n") -> tuple[int, bytes]:
    """Send bytes with the credential between them; return the status and all that came back."""
    where = urlsplit(node.url)
    own = f"Host: {where.netloc}\r\nAuthorization: Bearer {node.token}\r\nConnection: close\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall(start + own.encode() + rest)
        got = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(got.split(b" ", 2)[1]), got


@pytest.mark.parametrize(
    ("start", "rest", "status"),
    [
        (b"\x00\xff\xfe garbage\r\n", b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", b"\r\n", 400),  # TLS
        (b"GET /api/v1/status HTTP/9.9\r\n", b"\r\n", 400),
        (b"GET /api/v1/jobs/\xff\xfe HTTP/1.1\r\n", b"\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n", b"\r\n", 400),
        (b"GET /api/v1/status HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n", b"\r\n", 400),
        (b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n", b"\r\n", 400),  # two hosts
        (POST + b"Content-Length: -5\r\n", b"\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n", b"\r\n123456", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n", b"\r\nZZ\r\n\r\n", 400),
        (b"CONNECT evil.example:80 HTTP/1.1\r\n", b"\r\n", 404),
        (b"TRACE / HTTP/1.1\r\n", b"\r\n", 404),
    ],
)
def test_what_is_refused(node: NodeProcess, start: bytes, rest: bytes, status: int) -> None:
    """Refused, without a trace of how the node is built, and in a line of its log at most."""
    before = len(node.log())
    got, text = answer(node, start, rest)
    assert got == status
    assert b"Traceback" not in text
    assert len(node.log()) - before < 500


def test_bodies_are_not_inflated(node: NodeProcess) -> None:
    """8 KiB would be 8 MiB; a spec in gzip is refused as well, and as a broken one is."""
    before = node.call("GET", "/status")["revision"]
    for body in (gzip.compress(b" " * 2**23 + SPEC), gzip.compress(SPEC), b"no gzip"):
        head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        status, text = answer(node, POST, head + body)
        assert status == 415
        assert b"a body in the encoding gzip is refused" in text
        assert b"Send it as it is." in text
    assert node.call("GET", "/status")["revision"] == before


def test_a_body_that_never_comes(node: NodeProcess) -> None:
    """Held by its own connection only."""
    where = urlsplit(node.url)
    idle = [socket.create_connection((where.hostname, where.port)) for _ in range(50)]
    try:
        for connection in idle:
            connection.sendall(POST + b"Host: 127.0.0.1\r\nContent-Length: 99\r\n")
        assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"
    finally:
        for connection in idle:
            connection.close()
