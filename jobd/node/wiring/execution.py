"""What runs attempts on a node: its agent, scheduler, slots, and the link to the job supervisor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from actors import addresses
from actors.backends.job_supervisor.client import SupervisorClient
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.supervisor_protocol import SupervisorFrame
from actors.execution import Execution
from actors.executor_slot import ExecutorSlot
from actors.model.node import NodeRecord
from actors.node_agent import NodeAgent
from actors.runtime import LoopHost
from actors.scheduler import Scheduler
from actors.supervisor_link import LinkLost, SupervisorLink
from jobd.node.data_directory import NodeDirectory
from jobd.node.supervisor_port import ReconnectingPort
from jobd.node.wiring.actors import PinnedActors
from jobd.node.wiring.capacity import slots_to_start

__all__ = ["start_execution", "supervisor_port"]

_log: Final = logging.getLogger(__name__)


def start_execution(
    actors: PinnedActors,
    state: State,
    directory: NodeDirectory,
    peers: Peers,
    *,
    capacity: NodeCapacity,
    port: ReconnectingPort,
    vault: Vault,
    describe: Callable[[], NodeRecord],
) -> None:
    """Spawn the actors that run attempts, under one parent."""
    parent, node = addresses.EXECUTION, directory.node_id
    actors.spawn(parent, Execution)
    actors.spawn(addresses.SUPERVISOR, lambda: SupervisorLink(port), parent)
    slots = slots_to_start(state, node, capacity.slots_total)
    for index in range(slots):
        actors.spawn(addresses.slot(index), _slot(state, index, capacity, vault), parent)
    actors.spawn(
        addresses.SCHEDULER,
        lambda: Scheduler(state, peers, total=capacity, slots=slots),
        parent,
    )
    actors.spawn(
        addresses.AGENT,
        lambda: NodeAgent(
            state,
            peers=peers,
            describe=describe,
            next_incarnation=directory.next_incarnation,
        ),
        parent,
    )


def _slot(
    state: State, index: int, capacity: NodeCapacity, vault: Vault
) -> Callable[[], ExecutorSlot]:
    node, name = capacity.node, capacity.name
    return lambda: ExecutorSlot(state, index=index, node=node, name=name, open_secret=vault.open)


def supervisor_port(host: LoopHost, directory: NodeDirectory) -> ReconnectingPort:
    """Return the port to the job supervisor of a data directory; its frames go to its link."""

    def connect_as(
        on_frame: Callable[[SupervisorFrame], None], on_lost: Callable[[], None]
    ) -> SupervisorClient:
        return SupervisorClient(
            directory.path, directory.node_id, directory.incarnation, on_frame, on_lost
        )

    return ReconnectingPort(
        connect_as,
        on_frame=lambda frame: host.tell(addresses.SUPERVISOR, frame),
        on_lost=lambda: host.tell(addresses.SUPERVISOR, LinkLost()),
        on_trouble=lambda text: _log.warning("no job supervisor yet: %s", text),
    )
