"""Nodes with what belongs to failure detection: detector, clock and agent, over the shared order.

The scheduler and the job supervisor are stand-ins: one writes down what it is told, the other has
nothing running.
"""

from __future__ import annotations

import msgspec

from actors import addresses
from actors.core.cluster_clock import ClusterClock
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.store.state import State
from actors.core.supervisor_protocol import Welcome
from actors.executor_slot import CutOff
from actors.failure_detector import Detector, NodeSaying
from actors.model import keys
from actors.model.event import Event
from actors.model.node import NodeRecord
from actors.node_agent import ClaimsAllowed, ClaimsForbidden, Leave, LookAtSlots, NodeAgent
from actors.runtime import Context, Effects, Faults, LoopActor, Tell, handles
from actors.supervisor_link import Connect, SupervisorReady
from tests.sim.cluster.host import ClusterHost, NodeClock, at
from tests.sim.cluster.shared_order import SharedOrder, SharedReplica

__all__ = ["INTERVAL_MS", "TIMEOUT_MS", "Cluster", "Node"]

INTERVAL_MS = 1_000
TIMEOUT_MS = 5_000
_WELCOME = Welcome(1, "s1", "boot", "none", 1)


class _Scheduler(LoopActor):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    @handles(ClaimsAllowed, ClaimsForbidden, CutOff, LookAtSlots)
    def take(self, message: msgspec.Struct, context: Context) -> Effects:
        self.told.append(message)
        return None


class _Supervisor(LoopActor):
    @handles(Connect)
    def connect(self, message: Connect, context: Context) -> Effects:
        assert context.sender is not None
        return [Tell(context.sender, SupervisorReady(_WELCOME, ()))]


class Node:
    """One process of a node; its machine's clock outlives it."""

    def __init__(self, cluster: Cluster, name: str, clock: NodeClock, incarnation: int) -> None:
        host = cluster.host
        self.cluster = cluster
        self.name = name
        self.incarnation = incarnation
        self.state = State()
        self.peers = Peers(name)
        self.clock = ClusterClock(clock, name, wait_ms=TIMEOUT_MS)
        self.replica = SharedReplica(cluster.order, self.state, node=name, life=incarnation)
        self.scheduler = _Scheduler()
        host.set_clock(name, self.clock)
        host.spawn(lambda: self.replica, at(name, addresses.REPLICA))
        host.spawn(_Supervisor, at(name, addresses.SUPERVISOR))
        host.spawn(lambda: self.scheduler, at(name, addresses.SCHEDULER))
        host.spawn(self._detector, at(name, addresses.DETECTOR))
        host.spawn(self._agent, at(name, addresses.AGENT))

    def _detector(self) -> Detector:
        cluster = self.cluster
        return Detector(
            self.state,
            self.peers,
            self.clock,
            voters=lambda: cluster.order.voters,
            linked=lambda: frozenset(cluster.nodes),
            says=self._says,
            interval_ms=INTERVAL_MS,
            timeout_ms=TIMEOUT_MS,
        )

    def _says(self) -> NodeSaying:
        capacity = NodeCapacity(self.name, 1, 1, 0, 0, 0, 0, frozenset({"command"}))
        return NodeSaying(self.incarnation, capacity, 0, 0, {}, "0")

    def _agent(self) -> NodeAgent:
        self.agent = NodeAgent(
            self.state,
            peers=self.peers,
            describe=lambda: NodeRecord(self.name, f"{self.name}:7800"),
            next_incarnation=self._next_incarnation,
        )
        return self.agent

    def _next_incarnation(self) -> int:
        self.incarnation = self.cluster.next_incarnation(self.name)
        return self.incarnation

    @property
    def session(self) -> str:
        """The state of this node's session in its own view, "" while it has none."""
        entry = self.state.get(keys.session(self.name))
        return entry.noun.state if entry is not None else ""


class Cluster:
    """`events` are all that were committed, as the node that has applied most saw them."""

    def __init__(
        self,
        seed: int,
        voters: tuple[str, ...] = ("a", "b", "c"),
        workers: tuple[str, ...] = (),
        faults: Faults | None = None,
    ) -> None:
        self.host = ClusterHost(seed, faults=faults)
        self.order = SharedOrder(self.host, voters)
        self.nodes: dict[str, Node] = {}
        self.machines = {name: self.host.machine_clock() for name in (*voters, *workers)}
        self._incarnations = dict.fromkeys(self.machines, 0)

    def next_incarnation(self, node: str) -> int:
        self._incarnations[node] += 1
        return self._incarnations[node]

    def boot(self, *names: str) -> None:
        """Start these nodes, or all that do not run."""
        for name in names or [each for each in self.machines if each not in self.nodes]:
            life = self._incarnations[name] + 1
            self.nodes[name] = Node(self, name, self.machines[name], life)

    def crash(self, *names: str) -> None:
        """Kill these nodes."""
        for name in names:
            self.host.crash(at(name, "/"))
            self.host.pause(name, 0)
            self.order.up.discard(name)
            del self.nodes[name]

    def stop(self, name: str) -> bool:
        """Stop a node in order; say whether it left."""
        has_left: bool = self.host.call(at(name, addresses.AGENT), Leave())
        self.crash(name)
        return has_left

    def run(self, duration_s: float) -> None:
        self.host.run_for(duration_s)

    def settle(self, limit_s: float = 60.0) -> bool:
        """Run until each node that is there has an open session and may claim."""
        return self.host.run_until(lambda: self.is_ready, limit_s=limit_s)

    @property
    def is_ready(self) -> bool:
        return all(
            node.session == "up" and not node.agent.waits_for for node in self.nodes.values()
        )

    @property
    def events(self) -> list[Event]:
        return max((node.replica.events for node in self.nodes.values()), key=len)

    def told(self, kind: str) -> list[str]:
        """Return what the events of a type name, in their order: the node."""
        return [event.data["node"] for event in self.events if event.type == kind]
