"""Clients and operators of a simulated cluster: they submit, cancel and drain at any node.

They decide as the doors do, from the view of the node that they ask, and send what was not
answered again under the same id, to any node.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core import job, node_state
from actors.core.store.txn import Committed, Txn
from actors.core.view import View
from actors.model import keys
from actors.model.ids import make_id
from actors.model.spec import JobSpec, NodeLost, Placement
from tests.sim.cluster.host import ClusterHost, at
from tests.sim.cluster.machine import Machine
from tests.sim.cluster.monitor import Monitor
from tests.sim.node.workload import draw_spec

__all__ = ["Clients", "draw_placed_spec"]

_ANSWER_S = 3.0
_AGAIN_S = 0.3


def draw_placed_spec(rng: random.Random, number: int, nodes: tuple[str, ...]) -> JobSpec:
    """Return a job of any sort, now and then with wishes about nodes."""
    spec = draw_spec(rng, number)
    node = rng.choice(nodes)
    placement = rng.choice(
        (
            *(Placement(),) * 6,
            Placement(spread=True),
            Placement(labels={"node": node}),
            Placement(node=node),
        )
    )
    return msgspec.structs.replace(
        spec,
        idempotency_key=None,
        placement=placement,
        priority=rng.choice((10, 50, 50, 90)),
        on_isolation=rng.choice(("continue", "continue", "stop")),
        node_lost=NodeLost(rng.choice((0, 0, 1_500, 20_000)), rng.choice(("requeue", "fail"))),
    )


class Clients:
    """All clients of one cluster."""

    def __init__(
        self,
        host: ClusterHost,
        machines: dict[str, Machine],
        monitor: Monitor,
        rng: random.Random,
    ) -> None:
        self._host = host
        self._machines = machines
        self._monitor = monitor
        self._rng = rng
        self.waiting = 0
        self.avoided: set[str] = set()  # nodes that nobody asks

    def submit(self, spec: JobSpec) -> str:
        """Submit a job until it is accepted; return its id."""
        job_id = make_id(self._host.true_ms, self._rng.getrandbits(80))

        def decide(view: View, now_ms: int) -> Txn | None:
            if view.get(keys.job(job_id)) is not None:
                self._monitor.acknowledged(job_id, view.revision)
                return None
            return job.accept(
                view, spec, job_id, now_ms=now_ms, principal="me", body_hash=spec.name
            )

        def done(revision: int) -> None:
            self._monitor.acknowledged(job_id, revision)

        self._ask(decide, done)
        return job_id

    def cancel(self) -> None:
        """Cancel any accepted job."""
        known = list(self._monitor.accepted)
        if not known:
            return
        job_id = self._rng.choice(known)
        self._ask(
            lambda view, now_ms: job.cancel(view, job_id, "please", now_ms),
            lambda revision: self._monitor.cancel_acknowledged(job_id, revision),
        )

    def drain(self, node: str, mode: node_state.DrainMode, for_ms: int = 0) -> None:
        """Have a node drain."""

        def decide(view: View, now_ms: int) -> Txn | None:
            if view.get(keys.session(node)) is None:
                return None
            by_ms = now_ms + for_ms if for_ms else 0
            return node_state.drain(view, node, mode, by_ms=by_ms, now_ms=now_ms)

        self._ask(decide, lambda _: None)

    def uncordon(self, node: str) -> None:
        """Let a node take work again."""

        def decide(view: View, now_ms: int) -> Txn | None:
            if view.get(keys.session(node)) is None:
                return None
            return node_state.uncordon(view, node, now_ms=now_ms)

        self._ask(decide, lambda _: None)

    # -- asking

    def _ask(self, decide: Callable[[View, int], Txn | None], done: Callable[[int], None]) -> None:
        self.waiting += 1
        self._try(decide, done)

    def _try(self, decide: Callable[[View, int], Txn | None], done: Callable[[int], None]) -> None:
        """Decide at any node that is ready, and look at the answer; else again in a moment."""
        there = (m.process for m in self._machines.values() if m.name not in self.avoided)
        ready = [process for process in there if process is not None and process.is_ready]
        if not ready:
            self._host.call_later(_AGAIN_S, self._try, decide, done)
            return
        process = self._rng.choice(ready)
        txn = decide(process.state, self._host.true_ms)
        if txn is None:
            self.waiting -= 1
            return
        asked = self._host.ask(
            at(process.name, addresses.REPLICA), SubmitTxn(txn), timeout_s=_ANSWER_S
        )
        asked.add_done_callback(lambda: self._answered(asked, decide, done))

    def _answered(
        self,
        asked: Any,
        decide: Callable[[View, int], Txn | None],
        done: Callable[[int], None],
    ) -> None:
        answer = asked._value
        if isinstance(answer, Committed):
            self.waiting -= 1
            done(answer.revision)
        else:
            self._host.call_later(_AGAIN_S, self._try, decide, done)
