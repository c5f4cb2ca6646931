"""What orders the transactions of a node, alone or with others: log, image, events and replica."""

from __future__ import annotations

from collections.abc import Callable

from actors import addresses
from actors.consensus_replica import ConsensusReplica
from actors.errors import StorageFailed
from actors.event_bus import EventBus
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model.event import Event
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory
from jobd.node.wiring.actors import PinnedActors
from jobd.node.wiring.disk import Disk

__all__ = ["start_replica"]


def start_replica(
    actors: PinnedActors,
    disk: Disk,
    config: Config,
    directory: NodeDirectory,
    *,
    fatal: Callable[[StorageFailed], None],
    observe_fsync: Callable[[float], None],
    observe_event: Callable[[Event], None],
) -> None:
    """Spawn the actors of the replicated state, those first that others rest on."""
    recovered = disk.recovered
    group = recovered.group.finish(recovered.last_index, directory.next_incarnation())
    actors.spawn_once(
        addresses.LOG,
        lambda: LogWriter(disk.log, fatal=fatal, observe_fsync=observe_fsync),
    )
    actors.spawn_once(
        addresses.IMAGE,
        lambda: ImageWriter(
            disk.store,
            disk.events,
            applied_index=recovered.image_index,
            fatal=fatal,
            checkpoints=config.storage.engine != "memory",
        ),
    )
    actors.spawn(
        addresses.EVENT_BUS,
        lambda: EventBus(
            disk.events.last_revision, recovered.unwritten_events, observe=observe_event
        ),
    )
    actors.spawn_once(
        addresses.REPLICA,
        lambda: ConsensusReplica(
            group,
            recovered.state,
            node=directory.node_id,
            backlog=ImageBacklog(recovered.unwritten_rows, recovered.unwritten_events),
        ),
    )
