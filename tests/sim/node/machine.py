"""One simulated machine: disk, job supervisor, and the node's processes one after the other.

A process is put together from the product's own actors, unmodified, as `jobd/node/wiring.py` does
it, over the product's own log, event log and recovery. What is simulated is below the ports.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, cast

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.consensus_replica import ConsensusReplica
from actors.core.fetch_port import Outgoing
from actors.core.history import NodeSample
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.sealing import SealBox, Vault
from actors.core.supervisor_protocol import ExitRecord
from actors.errors import JobdError, SealingKeyLost, StorageFailed
from actors.event_bus import EventBus
from actors.execution import Execution
from actors.executor_slot import ExecutorSlot
from actors.history import History
from actors.home import Home
from actors.hooks import Answer, Hooks
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model import keys
from actors.model.ids import make_id
from actors.model.node import NodeRecord
from actors.node_agent import NodeAgent
from actors.pipeline_run import PipelineRun
from actors.run_home import RunHome
from actors.run_log import RunLog
from actors.runtime import Faults, LoopHost, SimHost
from actors.schedule_home import ScheduleHome
from actors.scheduler import Scheduler
from actors.supervisor_link import LinkLost, SupervisorLink
from actors.task_set import TaskSet
from actors.triggers import Triggers
from actors.wakeups import Wakeups
from jobd.node.gateway import NodeGateway
from jobd.node.storage import Recovered, recover
from tests.sim.node.disk import SimDisk
from tests.sim.node.history import SimHistory, SimHistoryPort
from tests.sim.node.image import SimImage
from tests.sim.node.job_files import SimArtifacts, SimJobLogs
from tests.sim.node.loop import SimLoop
from tests.sim.node.receiver import SimReceiver
from tests.sim.node.supervisor import SimPort, SimSupervisor

__all__ = ["NODE", "SLOTS", "Machine", "NodeSim"]

NODE = "n"
SLOTS = 2
_SEGMENT_BYTES = 16 * 1024
_IDLE_S = 60.0
_EVERYTHING = "/"


class _Log(SegmentLog):
    """Waits for its helper thread, so that a run repeats."""

    def _prepare_spare(self) -> None:
        super()._prepare_spare()
        if self._spare is not None:
            self._spare._thread.join()


class NodeSim:
    """One process of the node. `fatal` is set when it gave up: it then exits."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.host = machine.host
        self.loop = SimLoop(self.host)
        self.fatal: JobdError | None = None
        self._alive = True
        self._actors: dict[str, Any] = {}
        disk = machine.disk
        self.events = EventSegments.open(disk.path("events"), disk=disk)
        log = _Log.open(disk.path("log"), _SEGMENT_BYTES, disk)
        self.recovered: Recovered = recover(
            log, machine.image, self.events, node=NODE, cluster=NODE
        )
        self.state = self.recovered.state
        self.peers = Peers(NODE)
        self._vault = Vault(self.state, NODE, _no_keys)
        self.gateway = self._make_gateway()
        self._port = SimPort(
            machine.supervisor,
            lambda: (NODE, machine.incarnation),
            lambda frame: self.host.tell(addresses.SUPERVISOR, frame),
            lambda: self.host.tell(addresses.SUPERVISOR, LinkLost()),
        )
        self._history = SimHistoryPort(
            machine.history,
            machine.host,
            machine.history_rng,
            lambda answer: self.host.tell(addresses.HISTORY, answer),
        )
        self._start(log)

    def _make_gateway(self) -> NodeGateway:
        machine = self._machine
        return NodeGateway(
            cast(LoopHost, self.host),
            self.state,
            clock=self.host.clock,
            new_id=lambda: make_id(self.host.clock.now_ms(), machine.rng.getrandbits(80)),
            artifacts=machine.artifacts,
            peers=self.peers,
            failure_timeout_ms=5_000,
            source=cast(Any, None),
            cluster=cast(Any, None),
            vault=self._vault,
            audit=cast(Any, None),
            past=cast(Any, None),
        )

    # -- the actors, as in the wiring

    def _start(self, log: SegmentLog) -> None:
        machine, state, found = self._machine, self.state, self.recovered
        homes = Homes(state, self.peers)
        self._once(
            addresses.LOG, lambda: LogWriter(log, fatal=self._gave_up, observe_fsync=_ignore)
        )
        self._once(
            addresses.IMAGE,
            lambda: ImageWriter(
                machine.image, self.events, applied_index=found.image_index, fatal=self._gave_up
            ),
        )
        self._spawn(
            addresses.EVENT_BUS,
            lambda: EventBus(self.events.last_revision, found.unwritten_events, observe=_ignore),
        )
        self._once(
            addresses.REPLICA,
            lambda: ConsensusReplica(
                found.group.finish(found.last_index, machine.incarnation),
                state,
                node=NODE,
                backlog=ImageBacklog(found.unwritten_rows, found.unwritten_events),
            ),
        )
        self._spawn(addresses.WAKEUPS, lambda: Wakeups(state))
        self._spawn(addresses.RUN_LOG, lambda: RunLog(machine.job_logs, machine.artifacts))
        self.host.entities(
            addresses.task_set(""),
            lambda key: TaskSet(state, keys.last(key), homes),
            idle_s=_IDLE_S,
        )
        self._spawn(addresses.HISTORY, lambda: History(state, self._history, _sample))
        self._spawn(addresses.HOME, lambda: Home(state, self.peers))
        self.host.entities(
            addresses.pipeline_run(""),
            lambda key: PipelineRun(state, keys.last(key), homes),
            idle_s=_IDLE_S,
        )
        self._spawn(addresses.RUNS, lambda: RunHome(state, self.peers))
        if machine.schedules:
            self._spawn(
                addresses.SCHEDULES, lambda: ScheduleHome(state, self.peers, machine.late_s.append)
            )
        if machine.receiver is not None:
            self._start_hooks(machine.receiver)
        self._start_execution()

    def _start_hooks(self, receiver: SimReceiver) -> None:
        def post(key: str, outgoing: Outgoing) -> None:
            receiver.send(outgoing, lambda received: self._answered(Answer(key, received)))

        self._spawn(addresses.TRIGGERS, lambda: Triggers(self.state, self.peers))
        self._spawn(
            addresses.HOOKS,
            lambda: Hooks(
                self.state,
                self.peers,
                post=post,
                open_secret=self._vault.open,
                source=lambda: "jobd://sim",
            ),
        )

    def _answered(self, answer: Answer) -> None:
        """An answer reaches the process that asked, or nobody."""
        if self._alive:
            self.host.tell(addresses.HOOKS, answer)

    def _start_execution(self) -> None:
        machine, state, parent = self._machine, self.state, addresses.EXECUTION
        self._spawn(parent, Execution)
        self._spawn(addresses.SUPERVISOR, lambda: SupervisorLink(self._port), parent)
        for index in range(SLOTS):
            self._spawn(addresses.slot(index), self._slot(index), parent)
        total = NodeCapacity(NODE, SLOTS, SLOTS, 0, 0, 0, 0, frozenset({"command"}))
        self._spawn(
            addresses.SCHEDULER,
            lambda: Scheduler(state, self.peers, total=total, slots=SLOTS),
            parent,
        )
        self._spawn(
            addresses.AGENT,
            lambda: NodeAgent(
                state,
                peers=self.peers,
                describe=lambda: NodeRecord(NODE),
                next_incarnation=machine.next_incarnation,
            ),
            parent,
        )

    def _slot(self, index: int) -> Callable[[], ExecutorSlot]:
        return lambda: ExecutorSlot(
            self.state, index=index, node=NODE, name=NODE, open_secret=self._vault.open
        )

    def _spawn(self, address: str, factory: Callable[[], Any], parent: str | None = None) -> None:
        def make() -> Any:
            actor = self._actors[address] = factory()
            return actor

        self.host.spawn(make, address, parent=parent)

    def _once(self, address: str, factory: Callable[[], Any]) -> None:
        def make() -> Any:
            if address in self._actors:
                raise JobdError(f"{address} crashed")
            actor = self._actors[address] = factory()
            return actor

        self.host.spawn(make, address)

    # -- what is looked at from outside

    def actor(self, address: str) -> Any:
        """The present instance of an actor."""
        return self._actors[address]

    @property
    def is_ready(self) -> bool:
        agent: NodeAgent = self.actor(addresses.AGENT)
        return not agent.waits_for

    def _gave_up(self, error: StorageFailed) -> None:
        self.fatal = error

    def kill(self) -> None:
        self._alive = False
        self.loop.kill()
        self._port.kill()
        self._history.kill()


def _sample(now_ms: int) -> NodeSample:
    return NodeSample(now_ms, NODE, 0, SLOTS, 0, 0, 0.0, 0)


def _ignore(_: object) -> None:
    pass


def _no_keys() -> SealBox:
    raise SealingKeyLost("no job of the simulation has a secret")


class Machine:
    """What outlives the processes of a node, and the power switch.

    `before_disk` is called ahead of every change of the disk; it may raise Killed there.
    """

    def __init__(self, seed: int, *, faults: Faults | None = None) -> None:
        self.host = SimHost(seed, faults=faults, on_fatal=self._on_fatal)
        self.rng = random.Random(f"{seed}/machine")
        self.before_disk: Callable[[str], None] = lambda _: None
        self.spawned: Callable[[str], None] = lambda _: None
        self.forgotten: Callable[[str, ExitRecord], None] = lambda _, __: None
        self.disk = SimDisk(lambda what: self.before_disk(what))
        self.image = SimImage(self.disk)
        self.supervisor = SimSupervisor(
            self.host,
            self.rng,
            lambda attempt: self.spawned(attempt),
            lambda attempt, ends: self.forgotten(attempt, ends),
        )
        self.job_logs = SimJobLogs(self.supervisor.spool)
        self.artifacts = SimArtifacts(self.supervisor.spool)
        self.history = SimHistory()
        self.history_rng = random.Random(f"{seed}/history")
        self.receiver: SimReceiver | None = None  # with one, the node has triggers and hooks
        self.incarnation = 0
        self.schedules = False  # whether its processes fire any
        self.late_s: list[float] = []  # how late those that fired were
        self.node: NodeSim | None = None

    def next_incarnation(self) -> int:
        self.incarnation += 1
        return self.incarnation

    def boot(self) -> NodeSim:
        """Start the next process of the node. Raises Killed, JobdError."""
        assert self.node is None, "one process at a time: the lock of the directory sees to it"
        try:
            self.node = NodeSim(self)
        except BaseException:
            self.host.crash(_EVERYTHING)
            raise
        return self.node

    def crash(self, *, power: bool = False) -> None:
        """Kill -9 of the node process; with `power` of everything, and what was not synced goes."""
        self.host.crash(_EVERYTHING)
        if self.node is not None:
            self.node.kill()
            self.node = None
        if power:
            self.supervisor.lose_power()
            self.disk.lose_power(self.rng)
            self.image.lose_power(self.rng)

    def _on_fatal(self, reason: str, error: BaseException | None) -> None:
        if self.node is not None:
            self.node.fatal = JobdError(f"{reason}: {error!r}")
