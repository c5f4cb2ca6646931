"""A real node process on ports of its own, and a client that speaks to it as any user would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["NodeProcess", "Refused", "until"]

TERMINAL = ("succeeded", "failed", "cancelled", "expired")


class Refused(Exception):
    """The node answered with a problem."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Return the first true value of a condition. Fails after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {condition}"
        time.sleep(0.01)


class NodeProcess:
    """`jobd start` on a data directory."""

    def __init__(self, data: Path, *args: str) -> None:
        self.data = data
        self.program: tuple[str, ...] = ("-m", "jobd")
        self.prefix: tuple[str, ...] = ()  # what becomes the node by exec
        self.environment: dict[str, str] = {}
        self._args = args
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.token = ""

    def start(self) -> NodeProcess:
        """Start it and wait until it takes work."""
        self.launch()
        until(self._found)
        until(self._ready)
        return self

    def launch(self) -> None:
        """Start it."""
        (self.data / "run" / "node.json").unlink(missing_ok=True)
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        command = [*self.prefix, sys.executable, *self.program, "start", "--data", str(self.data)]
        ports = [f"{flag}=127.0.0.1:0" for flag in ("--http", "--cluster", "--metrics")]
        self._process = subprocess.Popen(
            [*command, *ports, *self._args], stderr=log, env=os.environ | self.environment
        )
        log.close()

    def _found(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        file = self.data / "run" / "node.json"
        if not file.exists():
            return False
        self.url = json.loads(file.read_text())["url"]
        self.token = (self.data / "admin.token").read_text().strip()
        return True

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}/readyz", timeout=5).status == 200)
        return False

    def log(self) -> str:
        """What the node said on stderr."""
        return (self.data.parent / f"{self.data.name}.log").read_text()

    @property
    def pid(self) -> int:
        """The node's process id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def signal_stop(self) -> None:
        """SIGTERM, without waiting for the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for an end that it comes to by itself; return the exit code."""
        assert self._process is not None
        return self._process.wait(20)

    def end(self) -> None:
        """End the node and the job supervisor, whatever they do."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        pid = self.supervisor_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def supervisor_pid(self) -> int | None:
        """The process id of the job supervisor that serves this data directory."""
        lock = str(self.data / "run" / "jobs.lock")
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != self.pid:
                    for fd in (entry / "fd").iterdir():
                        if str(fd.readlink()) == lock:
                            return int(entry.name)
        return None

    # -- HTTP

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Call the API; raises Refused for anything but 2xx."""
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            data=data,
            method=method,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=70) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.loads(error.read() or b"{}")) from None

    def submit(self, **spec: Any) -> str:
        """Submit a command job and return its id."""
        made = self.call("POST", "/jobs", {"name": "test", "type": "command", **spec})
        job_id: str = made["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        job: dict[str, Any] = self.call("GET", f"/jobs/{job_id}")
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end and return it."""
        job: dict[str, Any] = self.call("GET", f"/jobs/{job_id}?wait=30s&until=terminal")
        assert job["state"] in TERMINAL, job
        return job

    def logs(self, job_id: str, **query: Any) -> list[dict[str, Any]]:
        """Return all records of a job's log."""
        records: list[dict[str, Any]] = []
        after = 0
        while True:
            text = "&".join(f"{k}={v}" for k, v in {**query, "from": after}.items())
            page = self.call("GET", f"/jobs/{job_id}/logs?{text}")
            records.extend(page["items"])
            if page["next_from"] == after or not page["items"]:
                return records
            after = page["next_from"]


@contextlib.contextmanager
def running(
    data: Path, *args: str, environment: dict[str, str] | None = None
) -> Iterator[NodeProcess]:
    """Run a node for a test."""
    node = NodeProcess(data, *args)
    node.environment |= environment or {}
    try:
        yield node.start()
    finally:
        node.end()
