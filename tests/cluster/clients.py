"""Clients of a cluster, at every node and by either way: values put and swapped, jobs submitted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from jobd.client.flow import mint_key
from tests.cluster.cluster import Cluster
from tests.cluster.stores import ByHttp, ByLibrary, Refused, Store, Unknown
from tests.cluster.trace import Trace
from tests.sim.consensus.linearizable import Operation

__all__ = ["Clients"]

_KEYS = 6
_ROUND_S = 4.0  # then other keys: the check of one is exponential in what was left unanswered
_PAUSE_S = (0.01, 0.06)
_JOB_PAUSE_S = (0.1, 0.4)
_BACK_OFF_S = 0.2


class Clients:
    """Threads, each with a connection of its own to one node, until `stop`.

    `seed` is part of their keys: no other clients of the cluster may have the same. A `pace` of 0.5
    is half the load. Jobs append a line for each attempt that starts to `ledger`: id, attempt,
    fence, node.
    """

    def __init__(
        self, cluster: Cluster, trace: Trace, ledger: Path, seed: int = 0, pace: float = 1.0
    ) -> None:
        self._trace = trace
        self._ledger = ledger
        self._stopping = threading.Event()
        self._began = time.monotonic()
        self._seed = seed
        self._pace = pace
        self.failures: list[BaseException] = []
        token = cluster.token
        self._threads: list[threading.Thread] = []
        for node in cluster.nodes:
            ways: dict[str, Callable[[], Store]] = {
                "http": lambda node=node: ByHttp(node, token),  # type: ignore[misc]
                "wire": lambda node=node: ByLibrary(node, token),  # type: ignore[misc]
            }
            for way, connect in ways.items():
                name = f"{node.name}-{way}"
                self._add(self._values, name, connect)
            submit = ways["http" if node is cluster.nodes[0] else "wire"]
            self._add(self._submit, f"{node.name}-jobs", submit)

    def _add(
        self,
        work: Callable[[str, Store, random.Random], None],
        name: str,
        connect: Callable[[], Store],
    ) -> None:
        def run() -> None:
            try:
                with closing(connect()) as store:
                    work(name, store, random.Random(f"{self._seed} {name}"))
            except BaseException as error:
                self.failures.append(error)
                raise

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def start(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Let every client have its answer, then end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} got no answer"
        assert not self.failures, self.failures

    # -- values

    def _values(self, name: str, store: Store, rng: random.Random) -> None:
        known: dict[str, tuple[str, int] | None] = {}  # what this client saw last
        for number in count():
            if self._stopping.wait(rng.uniform(*_PAUSE_S) / self._pace):
                return
            turn = int((time.monotonic() - self._began) / _ROUND_S)
            key = f"{self._seed}.{turn}.{rng.randrange(_KEYS)}"
            kind = rng.choices(("read", "write", "cas"), (4, 3, 3))[0]
            if kind == "cas" and key not in known:
                kind = "read"
            try:
                self._one(store, kind, key, f"{name}-{number}", known)
            except Refused as refused:
                self._trace.refused(kind, str(refused))
                self._stopping.wait(_BACK_OFF_S)

    def _one(
        self,
        store: Store,
        kind: str,
        key: str,
        value: str,
        known: dict[str, tuple[str, int] | None],
    ) -> None:
        seen = known.get(key)
        expected = seen[0] if kind == "cas" and seen else None
        invoked, returned, ok = time.monotonic(), None, True
        try:
            if kind == "read":
                found = store.read(key)
                value_read = known[key] = found
                value = value_read[0] if value_read else None  # type: ignore[assignment]
            elif kind == "write":
                known[key] = (value, store.write(key, value))
            else:
                revision = store.swap(key, value, seen[1] if seen else None)
                ok = revision is not None
                known.pop(key)
                if revision is not None:
                    known[key] = (value, revision)
            returned = time.monotonic()
        except Unknown as unknown:
            known.pop(key, None)
            self._trace.refused(f"{kind} unknown", str(unknown))
            if kind == "read":
                return
        client = value.rpartition("-")[0] if kind != "read" else ""
        self._trace.did(Operation(key, kind, value, invoked, returned, expected, ok, client))

    # -- jobs

    def _submit(self, name: str, store: Store, rng: random.Random) -> None:
        while not self._stopping.wait(rng.uniform(*_JOB_PAUSE_S) / self._pace):
            idempotent = rng.random() < 0.5
            self._until_accepted(store, self.spec(rng, idempotent=idempotent), idempotent)

    def _until_accepted(self, store: Store, spec: dict[str, Any], idempotent: bool) -> None:
        """As a careful user does: the same key until it is answered."""
        key = mint_key()
        while True:
            try:
                self._trace.accepted(store.submit(spec, key), idempotent=idempotent)
                return
            except (Refused, Unknown) as error:
                self._trace.refused("submit", f"{type(error).__name__} {error}")
            if self._stopping.wait(_BACK_OFF_S):
                return  # not accepted, as far as anybody knows

    def spec(self, rng: random.Random, *, idempotent: bool) -> dict[str, Any]:
        """Return a job that says when it starts, and runs for up to a second."""
        line = "$JOBD_JOB_ID $JOBD_ATTEMPT $JOBD_FENCE $JOBD_NODE"
        return {
            "name": "traced",
            "type": "command",
            "shell": f'echo "{line}" >>"{self._ledger}"; sleep {rng.choice((0, 0.1, 1))}',
            "idempotent": idempotent,
            "node_lost": {"wait": "3s", "then": "requeue" if idempotent else "fail"},
        }
