"""ClusterHost: several nodes on one SimHost, each with its own clock, cuts and pauses.

An address without a node is of the sender's own node, as it is in production. Every node has a
wall clock that can be off, step and drift; what its actors see of it may be a clock made of it.
A node that is paused (SIGSTOP) keeps its mailboxes and does nothing until it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.runtime import Faults, SimHost
from actors.runtime.actor import Clock
from actors.runtime.address import SCHEME, node_of
from actors.runtime.asks import ActorAsk
from actors.runtime.cell import AnyActor, Cell, Restart
from actors.runtime.letter import Letter
from actors.runtime.ref import ActorRef
from actors.runtime.sim_host import SimClock

__all__ = ["ClusterHost", "NodeClock", "at"]


def at(node: str, address: str) -> str:
    """Return the address of an actor on a node."""
    return f"{SCHEME}{node}{address}"


class _Clocks(SimClock):
    """What `actor.clock` is: the clock of the node whose actor is running."""

    def __init__(self) -> None:
        super().__init__()
        self.of_node: dict[str, Clock] = {}
        self.running = ""

    def now_ms(self) -> int:
        clock = self.of_node.get(self.running)
        return clock.now_ms() if clock is not None else self.true_ms()

    def true_ms(self) -> int:
        return super().now_ms()


class NodeClock:
    """A machine's own clock: `off_ms` from the true time, gaining `drift` seconds a second."""

    def __init__(self, world: _Clocks) -> None:
        self._world = world
        self.off_ms = 0
        self.drift = 0.0

    def now_ms(self) -> int:
        gained_ms = int(self._world.elapsed_s * 1000 * self.drift)
        return self._world.true_ms() + self.off_ms + gained_ms

    def monotonic_s(self) -> float:
        return self._world.elapsed_s


class ClusterHost(SimHost):
    """All nodes of a cluster. Actors are spawned at `jobd://<node>/...`."""

    def __init__(self, seed: int, *, faults: Faults | None = None) -> None:
        super().__init__(seed, faults=faults)
        self._clocks = self.clock = _Clocks()
        self._one_way: set[tuple[str, str]] = set()
        self._resume_s: dict[str, float] = {}

    # -- clocks

    def machine_clock(self) -> NodeClock:
        """Return a new clock of a machine."""
        return NodeClock(self._clocks)

    def set_clock(self, node: str, clock: Clock) -> None:
        """Have a node's actors see this clock."""
        self._clocks.of_node[node] = clock

    @property
    def true_ms(self) -> int:
        """The true time."""
        return self._clocks.true_ms()

    # -- what an adversary does

    def cut(self, source: str, target: str) -> None:
        """Lose all that one node sends another, until `heal`."""
        self._note("cut", source, target, None)
        self._one_way.add((source, target))

    def heal(self) -> None:
        """Undo all cuts."""
        super().heal()
        self._one_way.clear()

    def pause(self, node: str, duration_s: float) -> None:
        """Stop a node for a while, as by SIGSTOP."""
        self._note("pause", "", node, duration_s)
        self._resume_s[node] = self.clock.elapsed_s + duration_s

    def is_paused(self, node: str) -> bool:
        """Say whether a node is stopped now."""
        return self._resume_s.get(node, 0.0) > self.clock.elapsed_s

    def reaches(self, source: str, target: str) -> bool:
        """Say whether the network would carry a message now."""
        cut = frozenset((source, target)) in self._cuts or (source, target) in self._one_way
        return source == target or not cut

    # -- addresses of the same node

    def spawn(
        self,
        factory: Callable[[], AnyActor],
        address: str,
        *,
        restart: Restart = "permanent",
        parent: str | None = None,
    ) -> ActorRef:
        """Start an actor; its node's clock is the one that it sees from the first moment."""

        def make() -> AnyActor:
            self._clocks.running = node_of(address)
            return factory()

        return super().spawn(make, address, restart=restart, parent=parent)

    def transmit(self, source: str, target: str, letter: Letter) -> None:
        """Carry a letter."""
        super().transmit(source, _of(source, target), letter)

    def carry_answer(
        self, ask: ActorAsk, source: str, target: str, value: Any, error: BaseException | None
    ) -> None:
        """Carry an answer."""
        super().carry_answer(ask, _of(target, source), target, value, error)

    # -- turns

    def _turn(self, cell: Cell) -> None:
        node = node_of(cell.address)
        resume_s = self._resume_s.get(node, 0.0)
        if resume_s > self.clock.elapsed_s:
            delay_s = self._chance.uniform(0, self.faults.turn_s)
            self._push(resume_s + delay_s, self._turn, cell)
            return
        self._clocks.running = node
        super()._turn(cell)

    def _journeys(self, source: str, target: str) -> list[float]:
        if (node_of(source), node_of(target)) in self._one_way:
            self._note("lost", source, target, None)
            return []
        return super()._journeys(source, target)


def _of(who: str, address: str) -> str:
    """Return an address as `who` means it."""
    return at(node_of(who), address) if address.startswith("/") else address
