"""One node: its actors over its backends.

A node is put together here from its configuration and its data directory, and taken apart in the
reverse order. Actors get what they need injected; they never look for it. The rooms beside this
one hold its parts: `disk`, `cluster` (what orders transactions), `execution`, `view`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from functools import partial
from typing import Final

from actors import addresses
from actors.audit_trail import AuditTrail
from actors.backends.artifacts import Artifacts
from actors.backends.audit_log import AuditSegments
from actors.backends.disk import disk_usage
from actors.backends.job_logs import JobLogs
from actors.consensus_replica import Settle
from actors.core import buckets
from actors.core.cluster_clock import ClusterClock
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.sealing import Vault
from actors.disk_watch import DiskWatch
from actors.errors import JobdError, StorageFailed
from actors.failure_detector import NodeSaying
from actors.history import History
from actors.home import Home
from actors.model import keys
from actors.model.codec import SCHEMA
from actors.model.epoch import Epoch
from actors.model.event import Event
from actors.model.ids import make_id
from actors.model.node import NodeRecord
from actors.node_agent import ClaimsForbidden, Leave
from actors.peer_door import PeerDoor
from actors.run_log import RunLog
from actors.runtime import LoopHost
from actors.runtime.clock import SystemClock
from actors.runtime.link import Link
from actors.schedule_home import ScheduleHome
from actors.seal_keys import SealKeys
from actors.task_set import TaskSet
from actors.wakeups import Wakeups
from jobd import __version__
from jobd.api.event_tail import EventTails
from jobd.config import Config
from jobd.node.audit import NodeAudit
from jobd.node.cluster_metrics import ClusterMetrics
from jobd.node.data_directory import NodeDirectory
from jobd.node.disk_metrics import DiskMetrics
from jobd.node.gateway import NodeGateway, StatusSource
from jobd.node.history_metrics import HistoryMetrics
from jobd.node.history_process import HistoryProcess
from jobd.node.hook_metrics import HookMetrics
from jobd.node.job_traces import JobTraces
from jobd.node.metrics import NodeMetrics
from jobd.node.node_cluster import ClusterSource
from jobd.node.otlp import open_export
from jobd.node.past import NodePast
from jobd.node.peer_reader import PeerReader
from jobd.node.sampling import Sampler
from jobd.node.secrets import ready_key, ready_secrets
from jobd.node.wiring.actors import PinnedActors
from jobd.node.wiring.backup import backups_of
from jobd.node.wiring.capacity import own_capacity
from jobd.node.wiring.cluster import Told, start_cluster, start_replica
from jobd.node.wiring.disk import open_disk
from jobd.node.wiring.execution import start_execution, supervisor_port
from jobd.node.wiring.hooks import open_fetch, repairs_of, start_hooks
from jobd.node.wiring.links import NodeLinks
from jobd.node.wiring.pipelines import start_pipelines
from jobd.node.wiring.port_keys import join_keys, open_keys
from jobd.node.wiring.seal_box import open_seal_box
from jobd.node.wiring.view import NodeSays

__all__ = ["Node"]

_log: Final = logging.getLogger(__name__)
_TASK_SET_IDLE_S: Final = 60.0
_SETTLE_S: Final = 2.0
_LEAVE_S: Final = 1.0
_SHUTDOWN_S: Final = 2.0


def _warn_of_late_peers(config: Config, epoch: Epoch) -> None:
    if len(config.cluster.bootstrap_peers) > 1 and len(epoch.members) == 1:
        _log.warning(
            "there are bootstrap_peers, and this node is a cluster of its own already: "
            "have empty nodes join it, or join theirs with an empty data directory"
        )


class Node:
    """One node's actors, running on the present event loop."""

    def __init__(self, config: Config, directory: NodeDirectory) -> None:
        self._config = config
        self._directory = directory
        name = config.node.name or socket.gethostname().lower()
        slots = config.node.slots or len(os.sched_getaffinity(0))
        self._capacity = own_capacity(directory.node_id, name, slots, config.node.labels)
        self._loop = asyncio.get_running_loop()
        self.fatal: asyncio.Future[JobdError] = self._loop.create_future()
        self.arrived: asyncio.Future[None] = self._loop.create_future()  # go on from a snapshot
        self._clock = ClusterClock(
            SystemClock(), directory.node_id, wait_ms=config.cluster.failure_timeout_ms
        )
        self.host = LoopHost(clock=self._clock, on_fatal=self._gave_up)
        self._actors = PinnedActors(self.host)
        self.spans = open_export(config.telemetry.otlp_endpoint, directory.node_id)
        self._disk = open_disk(config, directory)
        self.state = self._disk.recovered.state
        recovered = self._disk.recovered
        self._group = recovered.group.finish(
            recovered.last_index,
            directory.next_incarnation(),
            durable_decisions=config.cluster.durable_decisions,
        )
        _warn_of_late_peers(config, self._group.epoch)
        directory.belong(self._group.epoch.cluster)  # a crash may have been between the two
        self.peers = Peers(directory.node_id)
        self.keys = open_keys(
            directory.path, config.cluster, self._clock, self.state, lambda: self._group.epoch
        )
        self.links = NodeLinks(
            self.host,
            self.state,
            directory.node_id,
            lambda: self._group.epoch,
            config.cluster.failure_timeout_ms / 1000,
        )
        self.metrics = NodeMetrics(self.state)
        self.metrics.registry.register(self.spans)
        self._traces = JobTraces(self.state, self.spans.record)
        self._vault = Vault(self.state, directory.node_id, lambda: open_seal_box(directory.path))
        self._readying = self._loop.create_task(ready_secrets(self._vault, self.state))
        self._audit_log = AuditSegments.open(directory.path / "audit")
        self.audit = NodeAudit(self.host, self.state, self._audit_log, clock=self.host.clock)
        self._tails, self._fetch = EventTails(), open_fetch(config)
        self._artifacts = Artifacts(directory.path / "artifacts")
        self._port = supervisor_port(self.host, directory)
        self._history = HistoryProcess(self.host, directory, config)
        others = PeerReader(self.host, directory.node_id, self.peers.alive)
        self._past = NodePast(self.host, self._history, others)
        self._says = NodeSays(
            self._actors,
            self.state,
            self._disk.store,
            directory,
            name=name,
            engine=config.storage.engine,
            clock=self.host.clock,
            peers=self.peers,
        )
        self.gateway = self._make_gateway()

    @property
    def addresses(self) -> dict[str, str]:
        """Where it is reached, by door; who opens one enters it."""
        return self._says.addresses

    # -- the actors

    def start(self) -> None:
        """Spawn the actors, those first that others rest on."""
        actors, state, data = self._actors, self.state, self._directory.path
        homes = Homes(state, self.peers)
        told = Told(
            self._storage_failed,
            self.metrics.observe_fsync,
            self._observe_event,
            lambda: self._loop.call_soon_threadsafe(self._has_arrived),
        )
        parts = (self._disk, self._config, self._directory, self._group, self.links, told)
        start_replica(actors, self.host, *parts)
        actors.spawn(addresses.WAKEUPS, lambda: Wakeups(state))
        actors.spawn(addresses.RUN_LOG, lambda: RunLog(JobLogs(data), self._artifacts))
        actors.spawn(addresses.PEER_DOOR, lambda: PeerDoor(self._past.forget))
        actors.spawn(addresses.DISK_WATCH, lambda: DiskWatch(partial(disk_usage, data)))
        self.host.entities(
            addresses.task_set(""),
            lambda address: TaskSet(state, keys.last(address), homes),
            idle_s=_TASK_SET_IDLE_S,
        )
        actors.spawn(
            addresses.HISTORY,
            lambda: History(state, self._history, self._sampler(), self.links.donors),
        )
        actors.spawn(addresses.HOME, lambda: Home(state, self.peers))
        actors.spawn(
            addresses.SCHEDULES,
            lambda: ScheduleHome(state, self.peers, self.metrics.schedules.observe_lateness),
        )
        start_pipelines(actors, self.host, state, self.peers, homes)
        start_hooks(
            actors,
            self.host,
            state,
            self.peers,
            vault=self._vault,
            fetch=self._fetch,
            cluster=lambda: self._group.epoch.cluster,
        )
        actors.spawn(addresses.AUDIT, lambda: AuditTrail(self._audit_log))
        if self._config.cluster.enabled:  # before the agent, which waits for contact
            start_cluster(actors, *parts, peers=self.peers, clock=self._clock, says=self._saying)
            actors.spawn(addresses.SEAL_KEYS, self._seal_keys)
        start_execution(
            actors,
            state,
            self._directory,
            self.peers,
            capacity=self._capacity,
            port=self._port,
            vault=self._vault,
            describe=self._describe,
        )
        self._expose()

    def _seal_keys(self) -> SealKeys:
        def make_ready() -> None:
            self._readying = self._loop.create_task(ready_key(self._vault, self._readying))

        node = self._directory.node_id
        return SealKeys(self.state, self._vault, node=node, make_ready=make_ready)

    def open_links(self, link: Link) -> None:
        """Link up with the other nodes, over the port that is open now."""
        if self._config.cluster.enabled:
            self.links.open(link)

    def _saying(self) -> NodeSaying:
        return NodeSaying(
            incarnation=self._directory.incarnation,
            capacity=self._says.scheduler.capacity,
            executed=self._group.index,
            recorded=self._actors[addresses.HISTORY].recorded,
            addresses=self.addresses,
            version=__version__,
        )

    def _describe(self) -> NodeRecord:
        settings, doors = self._config.cluster, self.addresses
        return NodeRecord(
            self._capacity.name,
            address=settings.advertised(doors.get("cluster", "")),
            key=self.keys.own.public if self.keys is not None else b"",
            http=doors.get("http", ""),
            seal_key=self._vault.public_key,
            level=SCHEMA,
            worker=settings.role == "worker",
        )

    def _has_arrived(self) -> None:
        if not self.arrived.done():
            self.arrived.set_result(None)

    def _sampler(self) -> Sampler:
        node, slots = self._directory.node_id, self._capacity.slots_total
        return Sampler(self.state, node, slots, lambda: self._says.scheduler.queue_depth)

    def _expose(self) -> None:
        actors, register = self._actors, self.metrics.registry.register
        self.metrics.serve(
            self.host,
            lambda: self._says.scheduler.queue_depth,
            lambda: repairs_of(actors),
        )
        register(HistoryMetrics(self.host.clock, self._history, actors.present))
        usage = partial(disk_usage, self._directory.path)
        register(DiskMetrics(usage, lambda: actors[addresses.REPLICA].read_only))
        register(HookMetrics(actors.present, self.gateway.hooks.outcomes))
        register(ClusterMetrics(self.gateway.cluster.view))

    # -- what it says of itself

    def _new_id(self) -> str:
        open_ms = buckets.open_from_ms(self.state, self.host.clock.now_ms())
        return make_id(open_ms, secrets.randbits(80))

    def _make_gateway(self) -> NodeGateway:
        engine, store, says = self._config.storage.engine, self._disk.store, self._says
        backups = backups_of(self.host, self._directory, self._history, engine, store)
        return NodeGateway(
            self.host,
            self.state,
            clock=self.host.clock,
            new_id=self._new_id,
            artifacts=self._artifacts,
            peers=self.peers,
            failure_timeout_ms=self._config.cluster.failure_timeout_ms,
            vault=self._vault,
            audit=self.audit,
            past=self._past,
            source=StatusSource(
                status=says.status,
                health=says.health,
                explain=says.explain,
                forecast=says.forecast,
                node=says.node,
                tails=self._tails,
                stage_backup=backups.stage,
            ),
            cluster=ClusterSource(
                own=says.node,
                group=says.group,
                capacities=lambda: says.scheduler.capacities,
                join_keys=partial(join_keys, self.keys),
            ),
        )

    def _observe_event(self, event: Event) -> None:
        self.metrics.observe_event(event)
        self._traces.observe(event)
        self._tails.publish(event)

    # -- the end

    def claim_no_more(self) -> None:
        """Have nothing start here any more; what runs goes on."""
        self.host.tell(addresses.SCHEDULER, ClaimsForbidden())

    def _gave_up(self, reason: str, error: BaseException | None) -> None:
        known = error if isinstance(error, JobdError) else JobdError(f"{reason}: {error!r}")
        self._fail(known)

    def _storage_failed(self, error: StorageFailed) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: JobdError) -> None:
        if not self.fatal.done():
            self.fatal.set_result(error)

    async def leave(self) -> None:
        """Have the others know at once, unless jobs go on without this node."""
        try:
            await self.host.ask(addresses.AGENT, Leave(), timeout_s=_LEAVE_S)
        except JobdError as error:
            _log.info("the others will find out by themselves: %s", error)

    async def stop(self) -> None:
        """End the actors; running jobs stay with the job supervisor.

        What the image lacks is in the log, so a disk that does not answer only costs a replay.
        Raises JobdError when it was to go on from a snapshot, and an actor is in the files still.
        """
        self.links.close()
        await self._readying
        await self.audit.close(_SETTLE_S)
        try:
            await self.host.ask(addresses.REPLICA, Settle(), timeout_s=_SETTLE_S)
        except JobdError as error:
            _log.warning("the image is behind the log: %s", error)
        try:
            await asyncio.wait_for(self.host.shutdown(), _SHUTDOWN_S)
        except TimeoutError:
            late = f"not every actor ended within {_SHUTDOWN_S:g} s"
            if self.arrived.done():
                raise JobdError(late, remedy="start the node again") from None
            _log.warning("%s", late)
        await self._fetch.close()
        await self._history.close()
        await asyncio.to_thread(self.spans.close, _SHUTDOWN_S)
        await self._port.close()
