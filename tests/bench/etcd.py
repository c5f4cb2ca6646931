"""Three nodes of etcd on loopback, and load on them by h2load, the cheapest client there is.

Both are Debian's: apt-get install etcd-server etcd-client nghttp2-client. A put is a gRPC call over
HTTP/2 with the body that etcd's own clients send; its answer is not looked at but for its status.
"""

from __future__ import annotations

import re
import resource
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Etcd", "Load", "etcd", "missing"]

_NODES: Final = 3
_START_S: Final = 20.0
_PUT, _GET = "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"


class Load(NamedTuple):
    """What clients got: operations per second, latencies in ms, CPU seconds of the client."""

    rate: float
    latencies_ms: list[float]
    client_cpu: float


def missing() -> str:
    """Return why etcd can't run here; empty when it can."""
    absent = [name for name in ("etcd", "etcdctl", "h2load") if shutil.which(name) is None]
    packages = "apt-get install etcd-server etcd-client nghttp2-client"
    return f"no {', '.join(absent)} ({packages})" if absent else ""


class Etcd:
    """A running cluster. The leader is the first of `urls`: what goes there saves a hop."""

    def __init__(self, urls: list[str], pids: list[int], directory: Path) -> None:
        self.urls = urls
        self.pids = pids
        self._directory = directory

    def put(self, clients: int, seconds: float, value: bytes) -> Load:
        """Have so many clients put a value of 8 bytes' key, each when its last put is answered."""
        message = _field(1, b"bench/01") + _field(2, value)
        return self._load(_PUT, message, clients, seconds)

    def get(self, clients: int, seconds: float) -> Load:
        """Have them read without consensus (serializable): what client and gRPC alone allow."""
        return self._load(_GET, _field(1, b"bench/01") + b"\x38\x01", clients, seconds)

    def _load(self, path: str, message: bytes, clients: int, seconds: float) -> Load:
        body = self._directory / "body"
        body.write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
        log = self._directory / "requests"
        log.unlink(missing_ok=True)
        grpc = ["--header", "content-type: application/grpc", "--header", "te: trailers"]
        command = ["h2load", "--threads", "1", "--max-concurrent-streams", "1", *grpc]
        command += ["--clients", str(clients), "--duration", f"{seconds:g}"]
        command += ["--log-file", str(log), "--data", str(body), f"{self.urls[0]}{path}"]
        before = _children_cpu_s()
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu_s = _children_cpu_s() - before
        (rate,) = re.findall(r"^finished in .*?, ([\d.]+) req/s", told, re.MULTILINE)
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        assert all(status == "200" for _, status, _ in rows), told
        return Load(float(rate), [int(took) / 1e3 for _, _, took in rows], cpu_s)

    def revision(self) -> int:
        """Return how many puts there were."""
        command = ["etcdctl", "--endpoints", self.urls[0], "get", "bench/01", "-w", "fields"]
        told = subprocess.check_output(command, env={"ETCDCTL_API": "3"}, text=True)
        (found,) = re.findall(r'^"Version" : (\d+)', told, re.MULTILINE)
        return int(found)


@contextmanager
def etcd(directory: Path) -> Iterator[Etcd]:
    """Run three nodes with their defaults, which sync each write as JobD does."""
    directory.mkdir(parents=True)
    ports = _free_ports(2 * _NODES)
    peers = [f"http://127.0.0.1:{port}" for port in ports[:_NODES]]
    urls = [f"http://127.0.0.1:{port}" for port in ports[_NODES:]]
    names = [f"e{number}" for number in range(_NODES)]
    cluster = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, peer, url in zip(names, peers, urls, strict=True):
            command = ["etcd", "--name", name, "--data-dir", str(directory / name)]
            command += ["--listen-client-urls", url, "--advertise-client-urls", url]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            command += ["--initial-cluster", cluster, "--log-level", "error"]
            with (directory / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
        leader = _leader(urls)
        urls.sort(key=lambda url: url != leader)
        with tempfile.TemporaryDirectory() as scratch:
            yield Etcd(urls, [process.pid for process in running], Path(scratch))
    finally:
        for process in running:
            process.kill()
            process.wait()


def _leader(urls: list[str]) -> str:
    """Wait until there is one; return its URL."""
    deadline = time.monotonic() + _START_S
    command = ["etcdctl", "--endpoints", ",".join(urls), "endpoint", "status"]
    while time.monotonic() < deadline:
        with suppress(subprocess.CalledProcessError):
            told = subprocess.check_output(
                command, env={"ETCDCTL_API": "3"}, text=True, stderr=subprocess.DEVNULL
            )
            for line in told.splitlines():
                fields = [field.strip() for field in line.split(",")]
                if fields[4] == "true":
                    return fields[0]
        time.sleep(0.1)
    raise AssertionError("etcd has found no leader")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field of a protocol buffer."""
    size, length = b"", len(content)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
