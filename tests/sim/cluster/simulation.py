"""One run: a cluster, its clients and its faults, from a seed; then it heals, and must rest."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from unittest import mock

from actors.core import job
from actors.core.node_state import DrainMode, running_on
from actors.core.room import cordoned
from actors.model import keys
from actors.runtime import Faults
from tests.sim.cluster.host import ClusterHost
from tests.sim.cluster.machine import Machine
from tests.sim.cluster.monitor import Monitor, need
from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.cluster.workload import Clients, draw_placed_spec
from tests.sim.outcome import Outcome, broken_by

__all__ = ["NAMES", "Simulation", "run_seed"]

NAMES = ("a", "b", "c", "d", "e")
_FAULTY_S = 25.0
_REST_S = 300.0
_DERIVED_EVERY = 400  # steps
_KEEP_S = 20  # of ended jobs, so that they are evicted within a run
_LOSSY = Faults(drop=0.02, duplicate=0.02, reorder=0.1, min_delay_s=0.0005, max_delay_s=0.05)


class Simulation:
    """Drives a cluster step by step and looks after each."""

    def __init__(
        self,
        seed: int,
        size: int = 3,
        *,
        faults: Faults | None = None,
        order: type[SharedOrder] = SharedOrder,
    ) -> None:
        self.rng = random.Random(f"{seed}/cluster")
        self.names = NAMES[:size]
        self.host = ClusterHost(seed, faults=faults)
        self.order = order(self.host, self.names)
        self.machines = {n: Machine(self.host, self.order, n, seed) for n in self.names}
        self.monitor = Monitor(self.order, self.machines)
        self.clients = Clients(self.host, self.machines, self.monitor, self.rng)
        self.steps = self.crashes = 0

    def boot(self, *names: str) -> None:
        """Start these nodes, or all, where they don't run."""
        for name in names or self.names:
            if self.machines[name].process is None:
                self.machines[name].boot()

    def crash(self, name: str, *, back_s: float, power: bool = False) -> None:
        """Kill a node; it comes back later."""
        self.crashes += 1
        self.machines[name].crash(power=power)
        self.host.call_later(back_s, self.boot, name)

    def isolate(self, name: str, *, one_way: bool = False) -> None:
        """Cut a node off from the others; one way, it hears and is not heard."""
        for other in self.names:
            if other != name and one_way:
                self.host.cut(name, other)
        if not one_way:
            self.host.partition({name}, set(self.names) - {name})

    # -- steps

    def step(self) -> bool:
        """Do the next thing; False when there is none."""
        if not self.host.step():
            return False
        self.steps += 1
        self.monitor.look()
        if self.steps % _DERIVED_EVERY == 0:
            self.monitor.derived()
        return True

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Step until a condition holds; False at the limit of virtual time."""
        end_s = self.host.clock.elapsed_s + limit_s
        while not condition():
            if self.host.clock.elapsed_s > end_s or not self.step():
                return False
        return True

    def run_for(self, duration_s: float) -> None:
        """Step for some virtual time."""
        end_s = self.host.clock.elapsed_s + duration_s
        self.run_until(lambda: self.host.clock.elapsed_s >= end_s, duration_s + 1)

    @property
    def is_ready(self) -> bool:
        """Whether all nodes take work."""
        there = [machine.process for machine in self.machines.values()]
        return all(process is not None and process.is_ready for process in there)

    def rest(self) -> None:
        """Heal everything and require progress: all ends, and nothing is left."""
        self.host.heal()
        self.boot()

        def rests() -> bool:
            return not self.clients.waiting and not self.monitor.leftover()

        done = self.run_until(rests, _REST_S)
        need(done, "C-n", self.monitor.leftover() or f"{self.clients.waiting} requests wait")
        self.monitor.derived()

    def require_eviction(self) -> None:
        """Run until what has ended is gone from the store."""
        gone = self.run_until(lambda: not self.monitor.truth.count("job"), 30 * _KEEP_S)
        need(gone, "C-n", f"not evicted: {[k for k, _ in self.monitor.truth.scan('job/')][:3]}")
        self.monitor.derived()


class _Campaign:
    """A seed's clients and faults, drawn over the first seconds."""

    def __init__(self, seed: int, size: int, order: type[SharedOrder]) -> None:
        rng = random.Random(f"{seed}/plan")
        self.sim = Simulation(seed, size, faults=rng.choice((None, _LOSSY)), order=order)
        self.rng = rng
        self._drained: set[str] = set()
        self._jobs = 0
        self._plan(rng.choice((5, 15, 40)), self._submit)
        self._plan(rng.randint(0, 4), self.sim.clients.cancel)
        self._plan(rng.choice((0, 1, 2, 4)), self._crash)
        self._plan(rng.choice((0, 0, 1, 2)), self._pause)
        self._plan(rng.choice((0, 1, 2)), self._cut)
        self._plan(rng.choice((0, 0, 1)), self._kill_supervisor)
        self._plan(rng.choice((0, 0, 1, 2)), self._drain)

    def _plan(self, times: int, what: Callable[[], None]) -> None:
        for _ in range(times):
            self.sim.host.call_later(self.rng.uniform(1, _FAULTY_S), what)

    def _any(self) -> str:
        return self.rng.choice(self.sim.names)

    def _submit(self) -> None:
        self._jobs += 1
        self.sim.clients.submit(draw_placed_spec(self.rng, self._jobs, self.sim.names))

    def _crash(self) -> None:
        name = self._any()
        if self.sim.machines[name].process is not None:
            back_s = self.rng.choice((0.1, 2.0, 8.0, 20.0))
            self.sim.crash(name, back_s=back_s, power=self.rng.random() < 0.3)

    def _pause(self) -> None:
        name = self._any()
        if self.sim.machines[name].process is not None:
            self.sim.host.pause(name, self.rng.choice((0.3, 2.0, 7.0, 12.0)))

    def _cut(self) -> None:
        self.sim.isolate(self._any(), one_way=self.rng.random() < 0.3)
        self.sim.host.call_later(self.rng.choice((0.5, 4.0, 9.0, 15.0)), self.sim.host.heal)

    def _kill_supervisor(self) -> None:
        self.sim.machines[self._any()].supervisor.kill()

    def _drain(self) -> None:
        name = self._any()
        mode: DrainMode = self.rng.choice(("finish", "requeue"))
        self._drained.add(name)
        self.sim.clients.drain(name, mode, self.rng.choice((0, 800, 5_000)))

    def _require_drains(self) -> None:
        """What drains must come to have nothing."""
        sim, truth = self.sim, self.sim.monitor.truth
        sim.host.heal()
        sim.boot()

        def left() -> list[str]:
            records = {name: truth.get(keys.node(name)) for name in sim.names}
            drain = [name for name, entry in records.items() if entry and entry.noun.drain]
            return [name for name in drain if running_on(truth, name)]

        answered = sim.run_until(lambda: not sim.clients.waiting, 60)  # a drain is not sent again
        need(answered, "C-n", f"{sim.clients.waiting} requests wait")
        need(sim.run_until(lambda: not left(), 60), "C-n", f"{left()} do not become empty")

    def _uncordon(self, name: str) -> None:
        """Let a node work again; a node that lags may not have seen yet that it is cordoned."""
        sim, truth = self.sim, self.sim.monitor.truth
        for _ in range(10):
            if not cordoned(truth, name):
                return
            sim.clients.uncordon(name)
            sim.run_until(lambda: not cordoned(truth, name), 3)

    def run(self) -> None:
        sim = self.sim
        sim.boot()
        sim.run_for(_FAULTY_S)
        self._require_drains()
        for name in sorted(self._drained):  # what is pinned to it would wait for ever
            self._uncordon(name)
        sim.rest()
        sim.require_eviction()


def run_seed(seed: int, size: int = 3, order: type[SharedOrder] = SharedOrder) -> Outcome:
    """Run a seed to its end or its first violation."""
    with mock.patch.object(job, "Retention", partial(job.Retention, keep_s=_KEEP_S)):
        campaign = _Campaign(seed, size, order)
        sim = campaign.sim
        letter, text = broken_by(campaign.run)
    return Outcome(
        seed,
        letter,
        text,
        sim.host.trace_hash,
        sim.steps,
        sim.crashes,
        len(sim.monitor.accepted),
        dict(sim.monitor.coverage),
    )
