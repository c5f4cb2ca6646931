"""Clients that submit without pause to a node that is killed under them, as careful users do."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
from typing import Any

from tests.integration.node_process import NodeProcess, Refused

__all__ = ["Stream"]

_LOST = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


class Stream:
    """Each thread submits a job under its own key until it is answered, then the next one.

    `accepted` maps a key to every job id that was answered for it.
    """

    def __init__(self, node: NodeProcess, spec: dict[str, Any], clients: int = 2) -> None:
        self._node = node
        self._spec = spec
        self._stopping = threading.Event()
        self.accepted: dict[str, set[str]] = {}
        self.repeats = 0
        self.refusals: list[dict[str, Any]] = []
        self._threads = [
            threading.Thread(target=self._submit_all, args=(n,), daemon=True)
            for n in range(clients)
        ]

    def start(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Let every client have its answer, then end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client got no answer"

    def _submit_all(self, client: int) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            self._submit(f"client-{client}-job-{number}")

    def _submit(self, key: str) -> None:
        spec = {"name": "streamed", "type": "command", **self._spec}
        while True:
            try:
                made = self._node.call("POST", "/jobs", spec, {"Idempotency-Key": key})
            except Refused as refused:
                self.refusals.append({"status": refused.status, **refused.body})
                assert refused.status == 503, refused
            except _LOST:
                self.repeats += 1
            else:
                self.accepted.setdefault(key, set()).add(made["id"])
                return
            time.sleep(0.05)
