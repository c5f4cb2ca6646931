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
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.sealing import Vault
from actors.disk_watch import DiskWatch
from actors.errors import JobdError, StorageFailed
from actors.history import History
from actors.home import Home
from actors.model import keys
from actors.model.event import Event
from actors.model.ids import make_id
from actors.node_agent import ClaimsForbidden
from actors.run_log import RunLog
from actors.runtime import LoopHost
from actors.task_set import TaskSet
from actors.wakeups import Wakeups
from jobd.api.event_tail import EventTails
from jobd.config import Config
from jobd.node.audit import NodeAudit
from jobd.node.data_directory import NodeDirectory
from jobd.node.disk_metrics import DiskMetrics
from jobd.node.gateway import NodeGateway, StatusSource
from jobd.node.history_metrics import HistoryMetrics
from jobd.node.history_process import HistoryProcess
from jobd.node.job_traces import JobTraces
from jobd.node.metrics import NodeMetrics
from jobd.node.otlp import open_export
from jobd.node.past import NodePast
from jobd.node.sampling import Sampler
from jobd.node.secrets import ready_secrets
from jobd.node.wiring.actors import PinnedActors
from jobd.node.wiring.backup import backups_of
from jobd.node.wiring.capacity import own_capacity
from jobd.node.wiring.cluster import start_replica
from jobd.node.wiring.disk import open_disk
from jobd.node.wiring.execution import start_execution, supervisor_port
from jobd.node.wiring.seal_box import open_seal_box
from jobd.node.wiring.view import NodeSays

__all__ = ["Node"]

_log: Final = logging.getLogger(__name__)
_TASK_SET_IDLE_S: Final = 60.0
_SETTLE_S: Final = 2.0
_SHUTDOWN_S: Final = 2.0


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
        self.host = LoopHost(on_fatal=self._gave_up)
        self._actors = PinnedActors(self.host)
        self.spans = open_export(config.telemetry.otlp_endpoint, directory.node_id)
        self._disk = open_disk(config, directory)
        self.state = self._disk.recovered.state
        self.peers = Peers(directory.node_id)
        self.metrics = NodeMetrics(self.state)
        self.metrics.registry.register(self.spans)
        self._traces = JobTraces(self.state, self.spans.record)
        self._vault = Vault(self.state, directory.node_id, lambda: open_seal_box(directory.path))
        self._readying = self._loop.create_task(ready_secrets(self._vault, self.state))
        self._audit_log = AuditSegments.open(directory.path / "audit")
        self.audit = NodeAudit(self.host, self.state, self._audit_log, clock=self.host.clock)
        self._tails = EventTails()
        self._artifacts = Artifacts(directory.path / "artifacts")
        self._port = supervisor_port(self.host, directory)
        self._history = HistoryProcess(self.host, directory, config)
        self._says = NodeSays(
            self._actors,
            self.state,
            self._disk.store,
            directory,
            name=name,
            engine=config.storage.engine,
            clock=self.host.clock,
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
        start_replica(
            actors,
            self._disk,
            self._config,
            self._directory,
            fatal=self._storage_failed,
            observe_fsync=self.metrics.observe_fsync,
            observe_event=self._observe_event,
        )
        actors.spawn(addresses.WAKEUPS, lambda: Wakeups(state))
        actors.spawn(addresses.RUN_LOG, lambda: RunLog(JobLogs(data), self._artifacts))
        actors.spawn(addresses.DISK_WATCH, lambda: DiskWatch(partial(disk_usage, data)))
        self.host.entities(
            addresses.task_set(""),
            lambda address: TaskSet(state, keys.last(address), homes),
            idle_s=_TASK_SET_IDLE_S,
        )
        actors.spawn(addresses.HISTORY, lambda: History(state, self._history, self._sampler()))
        actors.spawn(addresses.HOME, lambda: Home(state, self.peers))
        actors.spawn(addresses.AUDIT, lambda: AuditTrail(self._audit_log))
        start_execution(
            actors,
            state,
            self._directory,
            self.peers,
            capacity=self._capacity,
            port=self._port,
            vault=self._vault,
        )
        self._expose()

    def _sampler(self) -> Sampler:
        node, slots = self._directory.node_id, self._capacity.slots_total
        return Sampler(self.state, node, slots, lambda: self._says.scheduler.queue_depth)

    def _expose(self) -> None:
        actors, register = self._actors, self.metrics.registry.register
        self.metrics.serve(
            self.host,
            lambda: self._says.scheduler.queue_depth,
            lambda: actors[addresses.HOME].repairs,
        )
        register(HistoryMetrics(self.host.clock, self._history, actors.present))
        usage = partial(disk_usage, self._directory.path)
        register(DiskMetrics(usage, lambda: actors[addresses.REPLICA].read_only))

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
            vault=self._vault,
            audit=self.audit,
            past=NodePast(self.host, self._history),
            source=StatusSource(
                status=says.status,
                health=says.health,
                explain=says.explain,
                forecast=says.forecast,
                node=says.node,
                tails=self._tails,
                stage_backup=backups.stage,
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

    async def stop(self) -> None:
        """End the actors; running jobs stay with the job supervisor.

        What the image lacks is in the log, so a disk that does not answer only costs a replay.
        """
        await self._readying
        await self.audit.close(_SETTLE_S)
        try:
            await self.host.ask(addresses.REPLICA, Settle(), timeout_s=_SETTLE_S)
        except JobdError as error:
            _log.warning("the image is behind the log: %s", error)
        try:
            await asyncio.wait_for(self.host.shutdown(), _SHUTDOWN_S)
        except TimeoutError:
            _log.warning("not every actor ended within %g s", _SHUTDOWN_S)
        await self._history.close()
        await asyncio.to_thread(self.spans.close, _SHUTDOWN_S)
        await self._port.close()
