"""One run: a machine, its clients and its faults, from a seed; then the faults end, and it rests.

A crash falls between two events of the host, or before an operation of the disk within one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from actors import addresses
from actors.errors import StorageFailed, Unavailable
from actors.runtime import Faults
from tests.sim.node.disk import Killed
from tests.sim.node.machine import Machine, NodeSim
from tests.sim.node.monitor import Monitor, need
from tests.sim.node.workload import Clients, draw_spec
from tests.sim.outcome import Outcome, broken_by

__all__ = ["Simulation", "run_seed"]

_FAULTY_S = 20.0
_REST_S = 4000.0
_DERIVED_EVERY = 40  # steps
_EVENTS = 1 << 20


class Simulation:
    """Drives a machine step by step and looks after each."""

    def __init__(self, seed: int, *, faults: Faults | None = None) -> None:
        self.rng = random.Random(f"{seed}/faults")
        self.machine = Machine(seed, faults=faults)
        self.machine.before_disk = self._before_disk
        self.monitor = Monitor(self.machine)
        self.clients = Clients(self.machine, self.monitor, self.rng)
        self.steps = self.crashes = 0
        self.boundaries = 0  # host steps and disk operations so far
        self.kill_at: int | None = None  # a boundary
        self.kill_again: int | None = None  # so many boundaries after the first
        self.rested_at = 0  # a boundary
        self.kill_with_power = False
        self.reboot_s: Callable[[], float] = lambda: self.rng.uniform(0.01, 1.0)
        self._graceful = False

    @property
    def node(self) -> NodeSim:
        """The present process."""
        assert self.machine.node is not None, "the node is down"
        return self.machine.node

    # -- the node's life

    def boot(self) -> None:
        """Start the node, again in a while when the disk is full."""
        if self.machine.node is not None:
            return
        try:
            node = self.machine.boot()
        except Killed:
            self._die()
        except (Unavailable, StorageFailed):
            self.machine.host.call_later(self.reboot_s(), self.boot)
        else:
            self.monitor.booted(node)

    def crash(self, *, power: bool = False) -> None:
        """Kill the node, or cut the power of its machine; it comes back after `reboot_s`."""
        if self.machine.node is not None or power:
            self._die(power=power)

    def _die(self, *, power: bool = False) -> None:
        self.crashes += 1
        if self.kill_again is not None:
            self.kill_at, self.kill_again = self.boundaries + self.kill_again, None
        self.machine.crash(power=power)
        self.clients.node_died()
        self.machine.host.call_later(self.reboot_s(), self.boot)

    def _before_disk(self, what: str) -> None:
        self._boundary()

    def _boundary(self) -> None:
        self.boundaries += 1
        if self.boundaries == self.kill_at:
            raise Killed

    # -- steps

    def step(self) -> bool:
        """Do the next thing; False when there is none."""
        host = self.machine.host
        try:
            self._boundary()
            if not host.step():
                return False
        except Killed:
            self._die(power=self.kill_with_power)
        self.steps += 1
        node = self.machine.node
        self.monitor.look()
        if node is not None and node.fatal is not None:
            self._die()
        if self.steps % _DERIVED_EVERY == 0:
            self.monitor.derived()
        return True

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Step until a condition holds; False at the limit of virtual time."""
        end_s = self.machine.host.clock.elapsed_s + limit_s
        while not condition():
            if self.machine.host.clock.elapsed_s > end_s or not self.step():
                return False
        return True

    def rest(self) -> None:
        """Require progress: everything ends, nothing is left, all events are there."""
        done = self.run_until(
            lambda: not self.clients.waiting and not self.monitor.leftover(), _REST_S
        )
        left = self.monitor.leftover() or f"{self.clients.waiting} requests wait"
        need(done, "N-n", left)
        self.kill_at, self.rested_at = None, self.boundaries
        self.monitor.derived()
        self.read_events()

    def read_events(self) -> None:
        """Read the events from the first on, through the node's door."""
        node = self.machine.node
        assert node is not None, "it rests"
        pages: list[object] = []
        node.loop.start(node.gateway.read_events((0, 0), _EVENTS, (), None), pages.append)
        self.run_until(lambda: bool(pages), 60.0)
        page = pages[0]
        if isinstance(page, BaseException):
            raise page
        events = list(page.events)  # type: ignore[attr-defined]
        self.monitor.events(events)
        if self.monitor.has_ended:
            self.run_until(self._is_recorded, 120.0)
            self.monitor.recorded(events)

    def _is_recorded(self) -> bool:
        """Whether the history has all that is applied."""
        node = self.machine.node
        return node is not None and node.actor(addresses.HISTORY).recorded > node.state.revision


class _Campaign:
    """A seed's clients and faults, drawn over the first twenty seconds."""

    def __init__(self, seed: int) -> None:
        self.sim = Simulation(seed)
        rng, machine = self.sim.rng, self.sim.machine
        self._plan(rng.randint(4, 14), self._submit)
        self._plan(rng.randint(0, 4), self.sim.clients.cancel)
        self._plan(rng.randint(0, 2), self.sim.clients.delete)
        self._plan(rng.choice((0, 0, 1, 2, 4)), self.sim.crash)
        self._plan(rng.choice((0, 0, 1, 3)), self._crash_on_disk)
        self._plan(rng.choice((0, 0, 1, 2)), lambda: self.sim.crash(power=True))
        self._plan(rng.choice((0, 0, 1, 2)), machine.supervisor.kill)
        self._plan(rng.choice((0, 0, 1)), self._fill_disk)
        self._plan(rng.choice((0, 0, 1)), self._break_disk)
        self._plan(rng.choice((0, 0, 0, 2)), self._step_clock)
        self._jobs = 0

    def _plan(self, times: int, what: Callable[[], None]) -> None:
        for _ in range(times):
            self.sim.machine.host.call_later(self.sim.rng.uniform(0, _FAULTY_S), what)

    def _submit(self) -> None:
        self._jobs += 1
        clients = self.sim.clients
        clients.submit(draw_spec(self.sim.rng, self._jobs), clients.draw_key())

    def _crash_on_disk(self) -> None:
        self.sim.kill_at = self.sim.boundaries + self.sim.rng.randint(1, 60)

    def _fill_disk(self) -> None:
        disk = self.sim.machine.disk
        disk.full = True
        self.sim.machine.host.call_later(
            self.sim.rng.uniform(0.1, 5), lambda: setattr(disk, "full", False)
        )

    def _break_disk(self) -> None:
        self.sim.machine.disk.broken = self.sim.rng.choice(("log", "events"))

    def _step_clock(self) -> None:
        """Move the wall clock, as NTP or an operator does."""
        clock, rng = self.sim.machine.host.clock, self.sim.rng
        clock.step_ms += rng.choice((-1, 1)) * rng.choice((500, 30_000, 3_600_000))

    def run(self) -> None:
        sim = self.sim
        sim.boot()
        sim.clients.listen()
        sim.run_until(lambda: sim.machine.host.clock.elapsed_s > _FAULTY_S, 2 * _FAULTY_S)
        sim.kill_at = None
        sim.machine.disk.full, sim.machine.disk.broken = False, None
        sim.rest()


def run_seed(seed: int) -> Outcome:
    """Run a seed to its end or its first violation."""
    campaign = _Campaign(seed)
    sim = campaign.sim
    letter, text = broken_by(campaign.run)
    if sim.machine.node is not None:
        sim.machine.node.loop.kill()  # a request of its last moment never begins
    return Outcome(
        seed,
        letter,
        text,
        sim.machine.host.trace_hash,
        sim.steps,
        sim.crashes,
        len(sim.monitor.accepted),
        dict(sim.monitor.coverage),
    )
