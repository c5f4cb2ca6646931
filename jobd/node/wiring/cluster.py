"""What orders the transactions of a node, alone or with others, and what it is to the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from actors import addresses
from actors.consensus_replica import ConsensusReplica
from actors.core.cluster_clock import ClusterClock
from actors.core.consensus.group import Group
from actors.core.peers import Peers
from actors.dialler import Dialler
from actors.errors import StorageFailed
from actors.event_bus import EventBus
from actors.failure_detector import Detector, NodeSaying
from actors.formation import Teller
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.incoming import FetchSnapshot, Incoming
from actors.join_door import JoinDoor
from actors.log_writer import LogWriter
from actors.model.event import Event
from actors.runtime import LoopHost
from actors.snapshots import Snapshots
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory
from jobd.node.wiring.actors import PinnedActors
from jobd.node.wiring.disk import Disk
from jobd.node.wiring.links import NodeLinks
from jobd.node.wiring.snapshots import IncomingFolder, OutgoingFolder

__all__ = ["Told", "start_cluster", "start_replica"]


class Told(NamedTuple):
    """Whom the actors of the replicated state tell what the node is to know."""

    fatal: Callable[[StorageFailed], None]
    fsync: Callable[[float], None]
    event: Callable[[Event], None]
    arrived: Callable[[], object]  # a snapshot, to restart on; from any thread


def start_replica(
    actors: PinnedActors,
    host: LoopHost,
    disk: Disk,
    config: Config,
    directory: NodeDirectory,
    group: Group,
    links: NodeLinks,
    told: Told,
) -> None:
    """Spawn the actors of the replicated state, those first that others rest on."""
    recovered = disk.recovered
    actors.spawn_once(
        addresses.LOG,
        lambda: LogWriter(disk.log, fatal=told.fatal, observe_fsync=told.fsync),
    )
    actors.spawn_once(
        addresses.IMAGE,
        lambda: ImageWriter(
            disk.store,
            disk.events,
            applied_index=recovered.image_index,
            fatal=told.fatal,
            checkpoints=config.storage.engine != "memory",
        ),
    )
    actors.spawn(
        addresses.EVENT_BUS,
        lambda: EventBus(disk.events.last_revision, recovered.unwritten_events, observe=told.event),
    )
    actors.spawn_once(
        addresses.REPLICA,
        lambda: ConsensusReplica(
            group,
            recovered.state,
            node=directory.node_id,
            backlog=ImageBacklog(
                recovered.unwritten_rows,
                recovered.unwritten_events,
                moved=recovered.replayed > 0,
            ),
            is_linked=links.is_linked,
            fetch_snapshot=partial(_fetch, host),
            on_epoch=lambda _: links.follow(),
        ),
    )


def _fetch(host: LoopHost, donor: str, index: int) -> None:
    host.tell(addresses.INCOMING, FetchSnapshot(donor, index))


def start_cluster(
    actors: PinnedActors,
    disk: Disk,
    config: Config,
    directory: NodeDirectory,
    group: Group,
    links: NodeLinks,
    told: Told,
    *,
    peers: Peers,
    clock: ClusterClock,
    says: Callable[[], NodeSaying],
) -> None:
    """Spawn the actors that deal with other nodes; a node alone has them idle."""
    state, settings = disk.recovered.state, config.cluster
    engine = config.storage.engine
    actors.spawn(
        addresses.DETECTOR,
        lambda: Detector(
            state,
            peers,
            clock,
            voters=lambda: group.epoch.nodes,
            linked=links.linked,
            says=says,
            interval_ms=settings.heartbeat_interval_ms,
            timeout_ms=settings.failure_timeout_ms,
        ),
    )
    actors.spawn(addresses.DIALLER, lambda: Dialler(state, links.follow))
    actors.spawn(addresses.FORMATION, lambda: Teller(directory.node_id, lambda: group.epoch))
    actors.spawn(
        addresses.JOIN,
        lambda: JoinDoor(
            state,
            epoch=lambda: group.epoch,
            needs_token=config.auth.enabled,
            now_ms=clock.now_ms,
        ),
    )
    actors.spawn(addresses.SNAPSHOTS, lambda: Snapshots(OutgoingFolder(directory.path, engine)))
    actors.spawn(
        addresses.INCOMING,
        lambda: Incoming(
            IncomingFolder(directory.path, engine),
            cluster=group.epoch.cluster,
            donors=links.donors,
            arrived=told.arrived,
            fatal=told.fatal,
        ),
    )
