"""What a node says of itself to its doors: status, health, its view, and why a job waits."""

from __future__ import annotations

import time
from typing import Any

from actors import addresses
from actors.core.consensus.group import GroupStatus
from actors.core.explain import explain, forecast
from actors.core.peers import Peers
from actors.core.ports import StateStore
from actors.core.store.state import State
from actors.model.spec import JobSpec
from actors.node_agent import NodeAgent
from actors.runtime import Clock
from actors.scheduler import Scheduler
from jobd import __version__
from jobd.api.gateway import NodeStatus
from jobd.api.node_views import NodeView
from jobd.node.data_directory import NodeDirectory
from jobd.node.node_view import node_view
from jobd.node.wiring.actors import PinnedActors

__all__ = ["NodeSays"]


class NodeSays:
    """Answers from the actors that are present now. `addresses` is by door, filled as they open."""

    def __init__(
        self,
        actors: PinnedActors,
        state: State,
        store: StateStore,
        directory: NodeDirectory,
        *,
        name: str,
        engine: str,
        clock: Clock,
        peers: Peers,
    ) -> None:
        self._actors = actors
        self._state = state
        self._store = store
        self._directory = directory
        self._name = name
        self._engine = engine
        self._clock = clock
        self._peers = peers
        self._began = time.monotonic()
        self.addresses: dict[str, str] = {}

    @property
    def scheduler(self) -> Scheduler:
        """The present scheduler."""
        scheduler: Scheduler = self._actors[addresses.SCHEDULER]
        return scheduler

    def status(self) -> NodeStatus:
        """Return what `jobctl status` shows."""
        capacity = self.scheduler.capacity
        jobs = self._actors[addresses.HOME].jobs_by_state
        group = self.group()
        return NodeStatus(
            node=self._directory.node_id,
            name=self._name,
            version=__version__,
            uptime_s=time.monotonic() - self._began,
            revision=self._state.revision,
            slots_total=capacity.slots_total,
            slots_free=capacity.slots_free,
            jobs={state: count for state, count in jobs.items() if count},
            storage={"engine": self._engine, **self._store.stats()},
            read_only=self._actors[addresses.REPLICA].read_only,
            role=group.role,
            epoch=group.epoch.number,
            nodes_alive=len(self._peers.alive()),
            isolated_ms=self._isolated_ms(),
        )

    def _isolated_ms(self) -> int:
        return self._peers.isolated_ms(int(self._clock.monotonic_s() * 1000))

    def node(self) -> NodeView:
        """Return this node as it looks to the cluster."""
        peers = self._peers
        return node_view(
            self._state,
            self.scheduler.capacity,
            incarnation=self._directory.incarnation,
            uptime_s=time.monotonic() - self._began,
            waits_for=self._actors[addresses.AGENT].waits_for,
            read_only=self._actors[addresses.REPLICA].read_only,
            addresses=self.addresses,
            role="voter" if peers.node in peers.voters() else "worker",
            executed=self.group().index,
            conditions=peers.conditions(peers.node),
        )

    def group(self) -> GroupStatus:
        """Return what its consensus says of itself."""
        status: GroupStatus = self._actors[addresses.REPLICA].group_status()
        return status

    def health(self) -> tuple[bool, str]:
        """Say whether it takes work, and what it waits for if not."""
        agent: NodeAgent = self._actors[addresses.AGENT]
        if agent.waits_for:
            return False, f"waits for {agent.waits_for}"
        isolated_ms = self._isolated_ms()
        if isolated_ms:
            return False, f"has heard no majority of the voters for {isolated_ms // 1000} s"
        return True, ""

    def explain(self, job_id: str) -> dict[str, Any]:
        """Say why a job is where it is."""
        found = explain(
            self._state,
            job_id,
            self.scheduler.capacities,
            self._clock.now_ms(),
            ahead=self.scheduler.ahead_of(job_id, 0),
        )
        assert found is not None, "the caller has seen the job in this turn"
        return found

    def forecast(self, spec: JobSpec) -> dict[str, Any]:
        """Say what would become of a job of this spec."""
        return forecast(self._state, spec, self.scheduler.capacities, self._clock.now_ms())
