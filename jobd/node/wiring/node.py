"""One node: its actors over its backends.

A node is put together here from its configuration and its data directory, and taken apart in the
reverse order. Actors get what they need injected; they never look for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from actors import addresses
from actors.audit_trail import AuditTrail
from actors.backends.artifacts import Artifacts
from actors.backends.audit_log import AuditSegments
from actors.backends.disk import disk_usage
from actors.backends.event_segments import EventSegments
from actors.backends.job_logs import JobLogs
from actors.backends.job_supervisor.client import SupervisorClient
from actors.backends.segment_log import SegmentLog
from actors.consensus_replica import ConsensusReplica, Settle
from actors.core import buckets
from actors.core.consensus.solo import Solo
from actors.core.explain import explain, forecast
from actors.core.ports import DiskUsage, StateStore
from actors.core.sealing import Vault
from actors.core.supervisor_protocol import SupervisorFrame
from actors.disk_watch import DiskWatch
from actors.errors import JobdError, StorageFailed
from actors.event_bus import EventBus
from actors.execution import Execution
from actors.executor_slot import ExecutorSlot
from actors.history import History
from actors.home import Home
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model import keys
from actors.model.event import Event
from actors.model.ids import make_id
from actors.model.spec import JobSpec
from actors.node_agent import ClaimsForbidden, NodeAgent
from actors.run_log import RunLog
from actors.runtime import LoopHost
from actors.runtime.actor import Behaviour
from actors.scheduler import Scheduler
from actors.supervisor_link import LinkLost, SupervisorLink
from actors.task_set import TaskSet
from actors.wakeups import Wakeups
from jobd import __version__
from jobd.api.event_tail import EventTails
from jobd.api.gateway import NodeStatus
from jobd.api.node_views import NodeView
from jobd.config import Config
from jobd.node.audit import NodeAudit
from jobd.node.data_directory import NodeDirectory
from jobd.node.disk_metrics import DiskMetrics
from jobd.node.gateway import NodeGateway, StatusSource
from jobd.node.history_metrics import HistoryMetrics
from jobd.node.history_process import HistoryProcess
from jobd.node.job_traces import JobTraces
from jobd.node.metrics import NodeMetrics
from jobd.node.node_view import node_view
from jobd.node.otlp import open_export
from jobd.node.past import NodePast
from jobd.node.sampling import Sampler
from jobd.node.secrets import ready_secrets
from jobd.node.storage import Recovered, recover
from jobd.node.supervisor_port import ReconnectingPort
from jobd.node.wiring.backup import backups_of
from jobd.node.wiring.capacity import own_capacity, slots_to_start
from jobd.node.wiring.seal_box import open_seal_box
from jobd.node.wiring.stores import open_events, open_store

__all__ = ["Node"]

_log: Final = logging.getLogger(__name__)
_TASK_SET_IDLE_S: Final = 60.0
_SETTLE_S: Final = 2.0
_SHUTDOWN_S: Final = 2.0


class _Disk(NamedTuple):
    log: SegmentLog
    store: StateStore
    events: EventSegments
    recovered: Recovered


class Node:
    """One node's actors, running on the present event loop."""

    def __init__(self, config: Config, directory: NodeDirectory) -> None:
        self._config = config
        self._directory = directory
        self._began = time.monotonic()
        self._name = config.node.name or socket.gethostname().lower()
        self._slots = config.node.slots or len(os.sched_getaffinity(0))
        self._capacity = own_capacity(
            directory.node_id, self._name, self._slots, config.node.labels
        )
        self._actors: dict[str, Any] = {}  # the present instance of each pinned actor
        self._loop = asyncio.get_running_loop()
        self.fatal: asyncio.Future[JobdError] = self._loop.create_future()
        self.host = LoopHost(on_fatal=self._gave_up)
        self.spans = open_export(config.telemetry.otlp_endpoint, directory.node_id)
        self._disk = self._open_disk()
        self.state = self._disk.recovered.state
        self.metrics = NodeMetrics(self.state)
        self.metrics.registry.register(self.spans)
        self._traces = JobTraces(self.state, self.spans.record)
        self._vault = Vault(self.state, directory.node_id, lambda: open_seal_box(directory.path))
        self._readying = self._loop.create_task(ready_secrets(self._vault, self.state))
        self._audit_log = AuditSegments.open(directory.path / "audit")
        self.audit = NodeAudit(self.host, self.state, self._audit_log, clock=self.host.clock)
        self._tails = EventTails()
        self.addresses: dict[str, str] = {}  # by door; who opens one enters it
        self._artifacts = Artifacts(directory.path / "artifacts")
        self._port = self._supervisor_port()
        self._history = HistoryProcess(self.host, directory, config)
        self.gateway = self._make_gateway()

    # -- the disk

    def _open_disk(self) -> _Disk:
        data = self._directory.path
        store = open_store(self._config.storage.engine, data)
        events = open_events(data / "events")
        log = SegmentLog.open(data / "log")
        recovered = recover(log, store, events)
        _log.info(
            "recovered %d keys at revision %d, %d log records replayed in %.3f s",
            len(recovered.state),
            recovered.state.revision,
            recovered.replayed,
            recovered.took_s,
        )
        return _Disk(log, store, events, recovered)

    # -- the actors

    def start(self) -> None:
        """Spawn the actors, those first that others rest on."""
        disk, state, node = self._disk, self.state, self._directory.node_id
        recovered, host, data = disk.recovered, self.host, self._directory.path
        self._spawn_once(
            addresses.LOG,
            lambda: LogWriter(
                disk.log, fatal=self._storage_failed, observe_fsync=self.metrics.observe_fsync
            ),
        )
        self._spawn_once(
            addresses.IMAGE,
            lambda: ImageWriter(
                disk.store,
                disk.events,
                applied_index=recovered.image_index,
                fatal=self._storage_failed,
                checkpoints=self._config.storage.engine != "memory",
            ),
        )
        self._spawn(
            addresses.EVENT_BUS,
            lambda: EventBus(
                disk.events.last_revision,
                recovered.unwritten_events,
                observe=self._observe_event,
            ),
        )
        self._spawn_once(
            addresses.REPLICA,
            lambda: ConsensusReplica(
                Solo(recovered.applied_index),
                state,
                node=node,
                applied_index=recovered.applied_index,
                unwritten_rows=recovered.unwritten_rows,
                unwritten_events=recovered.unwritten_events,
            ),
        )
        self._spawn(addresses.WAKEUPS, lambda: Wakeups(state))
        self._spawn(addresses.RUN_LOG, lambda: RunLog(JobLogs(data), self._artifacts))
        self._spawn(addresses.DISK_WATCH, lambda: DiskWatch(partial(disk_usage, data)))
        host.entities(
            addresses.task_set(""),
            lambda address: TaskSet(state, keys.last(address)),
            idle_s=_TASK_SET_IDLE_S,
        )
        sampler = Sampler(state, node, self._slots, lambda: self._scheduler.queue_depth)
        self._spawn(addresses.HISTORY, lambda: History(state, self._history, sampler))
        self._spawn(addresses.HOME, lambda: Home(state))
        self._spawn(addresses.AUDIT, lambda: AuditTrail(self._audit_log))
        self._start_execution(node)
        self._expose(partial(disk_usage, data))

    def _expose(self, usage: Callable[[], DiskUsage]) -> None:
        actors, register = self._actors, self.metrics.registry.register
        waiting, repairs = (
            lambda: self._scheduler.queue_depth,
            lambda: actors[addresses.HOME].repairs,
        )
        self.metrics.serve(self.host, waiting, repairs)
        register(HistoryMetrics(self.host.clock, self._history, actors))
        register(DiskMetrics(usage, lambda: actors[addresses.REPLICA].read_only))

    def _start_execution(self, node: str) -> None:
        state, parent = self.state, addresses.EXECUTION
        self._spawn(parent, Execution)
        self._spawn(addresses.SUPERVISOR, lambda: SupervisorLink(self._port), parent)
        slots = slots_to_start(state, node, self._slots)
        for index in range(slots):
            self._spawn(addresses.slot(index), self._slot_factory(index), parent)
        self._spawn(
            addresses.SCHEDULER,
            lambda: Scheduler(state, node=node, total=self._capacity, slots=slots),
            parent,
        )
        self._spawn(
            addresses.AGENT,
            lambda: NodeAgent(
                state,
                node=node,
                name=self._name,
                next_incarnation=self._directory.next_incarnation,
            ),
            parent,
        )

    def _slot_factory(self, index: int) -> Callable[[], ExecutorSlot]:
        return lambda: ExecutorSlot(
            self.state, index=index, node=self._name, open_secret=self._vault.open
        )

    def _spawn(
        self, address: str, factory: Callable[[], Behaviour], parent: str | None = None
    ) -> None:
        def make() -> Any:
            actor = self._actors[address] = factory()
            return actor

        self.host.spawn(make, address, parent=parent)

    def _spawn_once(self, address: str, factory: Callable[[], Behaviour]) -> None:
        """Spawn what holds promises to others: when it crashes, the node restarts from its log."""

        def make() -> Any:
            if address in self._actors:
                raise JobdError(
                    f"{address} crashed; what it had promised can't be kept by another instance",
                    remedy="start the node again: it recovers from its log",
                )
            return factory()

        self._spawn(address, make)

    def _supervisor_port(self) -> ReconnectingPort:
        def connect_as(
            on_frame: Callable[[SupervisorFrame], None], on_lost: Callable[[], None]
        ) -> SupervisorClient:
            directory = self._directory
            return SupervisorClient(
                directory.path, directory.node_id, directory.incarnation, on_frame, on_lost
            )

        return ReconnectingPort(
            connect_as,
            on_frame=lambda frame: self.host.tell(addresses.SUPERVISOR, frame),
            on_lost=lambda: self.host.tell(addresses.SUPERVISOR, LinkLost()),
            on_trouble=lambda text: _log.warning("no job supervisor yet: %s", text),
        )

    # -- what it says of itself

    @property
    def _scheduler(self) -> Scheduler:
        scheduler: Scheduler = self._actors[addresses.SCHEDULER]
        return scheduler

    def _new_id(self) -> str:
        open_ms = buckets.open_from_ms(self.state, self.host.clock.now_ms())
        return make_id(open_ms, secrets.randbits(80))

    def _make_gateway(self) -> NodeGateway:
        engine, store = self._config.storage.engine, self._disk.store
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
                status=self._status,
                health=self._health,
                explain=self._explain,
                forecast=self._forecast,
                node=self._node,
                tails=self._tails,
                stage_backup=backups.stage,
            ),
        )

    def _status(self) -> NodeStatus:
        capacity = self._scheduler.capacity
        jobs = self._actors[addresses.HOME].jobs_by_state
        return NodeStatus(
            node=self._directory.node_id,
            name=self._name,
            version=__version__,
            uptime_s=time.monotonic() - self._began,
            revision=self.state.revision,
            slots_total=capacity.slots_total,
            slots_free=capacity.slots_free,
            jobs={state: count for state, count in jobs.items() if count},
            storage={"engine": self._config.storage.engine, **self._disk.store.stats()},
            read_only=self._actors[addresses.REPLICA].read_only,
        )

    def _node(self) -> NodeView:
        return node_view(
            self.state,
            self._scheduler.capacity,
            incarnation=self._directory.incarnation,
            uptime_s=time.monotonic() - self._began,
            waits_for=self._actors[addresses.AGENT].waits_for,
            read_only=self._actors[addresses.REPLICA].read_only,
            addresses=self.addresses,
        )

    def _observe_event(self, event: Event) -> None:
        self.metrics.observe_event(event)
        self._traces.observe(event)
        self._tails.publish(event)

    def _health(self) -> tuple[bool, str]:
        agent: NodeAgent = self._actors[addresses.AGENT]
        return (False, f"waits for {agent.waits_for}") if agent.waits_for else (True, "")

    def _explain(self, job_id: str) -> dict[str, Any]:
        scheduler = self._scheduler
        found = explain(
            self.state,
            job_id,
            [scheduler.capacity],
            self.host.clock.now_ms(),
            ahead=scheduler.ahead_of(job_id, 0),
        )
        assert found is not None, "the caller has seen the job in this turn"
        return found

    def _forecast(self, spec: JobSpec) -> dict[str, Any]:
        nodes = [self._scheduler.capacity]
        return forecast(self.state, spec, nodes, self.host.clock.now_ms())

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
