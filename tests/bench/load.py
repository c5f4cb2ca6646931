"""Load on a node over HTTP, from kept-alive connections: any user's way, with little CPU."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from tests.integration.node_process import NodeProcess

__all__ = ["Client", "drained", "latencies_s", "submit_all", "submit_batches"]

_BATCH = 500


class Client:
    """One connection to a node."""

    def __init__(self, node: NodeProcess) -> None:
        self._connection = http.client.HTTPConnection(node.url.removeprefix("http://"), timeout=70)
        self._headers = {
            "Authorization": f"Bearer {node.token}",
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON; anything but 2xx fails."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self._connection.request(method, f"/api/v1{path}", data, self._headers)
        response = self._connection.getresponse()
        text = response.read()
        assert response.status < 300, (response.status, text)
        return json.loads(text)

    def run(self, spec: bytes) -> float:
        """Submit a job, wait for its success; return the seconds between."""
        began = time.perf_counter()
        job_id = self.call("POST", "/jobs", spec)["id"]
        job = self.call("GET", f"/jobs/{job_id}?wait=30s&until=terminal")
        took_s = time.perf_counter() - began
        assert job["state"] == "succeeded", job
        return took_s

    def open_jobs(self) -> int:
        """Return how many jobs are to run now or are running."""
        jobs = self.call("GET", "/status")["jobs"]
        return sum(jobs.get(state, 0) for state in ("pending", "waiting", "running"))


def latencies_s(node: NodeProcess, spec: dict[str, Any], count: int) -> list[float]:
    """Return the seconds from submit to terminal of jobs that run one after the other."""
    client, body = Client(node), json.dumps(spec).encode()
    return [client.run(body) for _ in range(count)]


def submit_all(node: NodeProcess, spec: dict[str, Any], count: int, submitters: int) -> None:
    """Submit jobs one a request, from several connections at once."""
    body = json.dumps(spec).encode()

    def submit() -> None:
        client = Client(node)
        for _ in range(count // submitters):
            client.call("POST", "/jobs", body)

    threads = [threading.Thread(target=submit) for _ in range(submitters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def submit_batches(node: NodeProcess, spec: dict[str, Any], count: int) -> None:
    """Submit jobs many a request."""
    client, body = Client(node), json.dumps({"jobs": [spec] * _BATCH}).encode()
    for _ in range(count // _BATCH):
        made = client.call("POST", "/jobs/batch", body)
        assert all("id" in item for item in made["items"]), made


def drained(node: NodeProcess) -> None:
    """Return once no job is open."""
    client = Client(node)
    while client.open_jobs():
        time.sleep(0.02)
