"""A whole node on the shared order: all its actors, unmodified, and the machine that outlives them.

Put together as the wiring does it. What is simulated is what is below the ports, as in
`tests/sim/node`, and consensus, whose place the shared order takes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from actors import addresses
from actors.core.cluster_clock import ClusterClock
from actors.core.history import NodeSample
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.store.state import State
from actors.core.supervisor_protocol import ExitRecord
from actors.event_bus import EventBus
from actors.execution import Execution
from actors.executor_slot import ExecutorSlot
from actors.failure_detector import Detector, NodeSaying
from actors.history import History
from actors.home import Home
from actors.model import keys
from actors.model.node import NodeRecord
from actors.node_agent import NodeAgent
from actors.pipeline_run import PipelineRun
from actors.run_home import RunHome
from actors.run_log import RunLog
from actors.schedule_home import ScheduleHome
from actors.scheduler import Scheduler
from actors.supervisor_link import LinkLost, SupervisorLink
from actors.task_set import TaskSet
from actors.wakeups import Wakeups
from tests.sim.cluster.host import ClusterHost, at
from tests.sim.cluster.shared_order import SharedOrder, SharedReplica
from tests.sim.cluster.tempo_order import TempoOrder
from tests.sim.node.history import SimHistory, SimHistoryPort
from tests.sim.node.job_files import SimArtifacts, SimJobLogs
from tests.sim.node.supervisor import SimPort, SimSupervisor

__all__ = ["INTERVAL_MS", "SLOTS", "TIMEOUT_MS", "Machine", "Process"]

SLOTS = 2
INTERVAL_MS = 1_000
TIMEOUT_MS = 5_000
_IDLE_S = 60.0


class Machine:
    """What outlives the processes of a node. `process` is the present one."""

    def __init__(self, host: ClusterHost, order: SharedOrder, name: str, seed: int) -> None:
        self.host = host
        self.order = order
        self.name = name
        self.rng = random.Random(f"{seed}/machine {name}")
        self.clock = host.machine_clock()
        self.spawned: Callable[[str, str], None] = lambda _, __: None
        self.supervisor = SimSupervisor(host, self.rng, self._spawned, self._forgotten)
        self.job_logs = SimJobLogs(self.supervisor.spool)
        self.artifacts = SimArtifacts(self.supervisor.spool)
        self.history = SimHistory()
        self.incarnation = 0
        self.lives = 0
        self.schedules = False  # whether its processes fire any
        self.late_s: list[float] = []  # how late those that fired here were
        self.process: Process | None = None

    def _spawned(self, attempt: str) -> None:
        self.spawned(self.name, attempt)

    def _forgotten(self, attempt: str, ends: ExitRecord) -> None:
        """Nothing is asked of it here: a node alone is tried for that."""

    def next_incarnation(self) -> int:
        self.incarnation += 1
        return self.incarnation

    def boot(self) -> Process:
        """Start the next process."""
        assert self.process is None, "one process at a time"
        self.lives += 1
        self.process = Process(self)
        return self.process

    def crash(self, *, power: bool = False) -> None:
        """Kill -9 of the process; with `power` of the job supervisor and its jobs too."""
        if self.process is not None:
            self.host.crash(at(self.name, "/"))
            self.host.pause(self.name, 0)
            self.order.up.discard(self.name)
            self.process.kill()
            self.process = None
        if power:
            self.supervisor.lose_power()


class Process:
    """One process of a node."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.name = name = machine.name
        self.host = host = machine.host
        self.state, self._start_order = self._order()
        self.peers = Peers(name)
        self._clock = ClusterClock(machine.clock, name, wait_ms=TIMEOUT_MS)
        self._actors: dict[str, Any] = {}
        host.set_clock(name, self._clock)
        self._port = SimPort(
            machine.supervisor,
            lambda: (name, machine.incarnation),
            lambda frame: host.tell(at(name, addresses.SUPERVISOR), frame),
            lambda: host.tell(at(name, addresses.SUPERVISOR), LinkLost()),
        )
        self._history = SimHistoryPort(
            machine.history,
            host,
            machine.rng,
            lambda answer: host.tell(at(name, addresses.HISTORY), answer),
        )
        self._start()

    def actor(self, address: str) -> Any:
        """The present instance of an actor."""
        return self._actors[address]

    @property
    def is_ready(self) -> bool:
        agent: NodeAgent = self.actor(addresses.AGENT)
        return not agent.waits_for

    def kill(self) -> None:
        self._port.kill()
        self._history.kill()

    # -- the actors, as in the wiring

    def _order(self) -> tuple[State, Callable[[], None]]:
        """Return the state, and what spawns the actors that order its transactions."""
        order, machine, name = self.machine.order, self.machine, self.name
        if isinstance(order, TempoOrder):
            return order.start(self._spawn, name, machine.next_incarnation())
        state = State()

        def replica() -> SharedReplica:
            return SharedReplica(order, state, node=name, life=machine.lives)

        return state, lambda: self._spawn(addresses.REPLICA, replica)

    def _start(self) -> None:
        machine, state, name = self.machine, self.state, self.name
        homes = Homes(state, self.peers)
        self._spawn(addresses.EVENT_BUS, lambda: EventBus(0, [], observe=_ignore))
        self._start_order()
        self._spawn(addresses.WAKEUPS, lambda: Wakeups(state))
        self._spawn(addresses.RUN_LOG, lambda: RunLog(machine.job_logs, machine.artifacts))
        self.host.entities(
            at(name, addresses.task_set("")),
            lambda address: TaskSet(state, keys.last(address), homes),
            idle_s=_IDLE_S,
        )
        self._spawn(addresses.HISTORY, lambda: History(state, self._history, self._sample))
        self._start_execution()
        self._spawn(addresses.HOME, lambda: Home(state, self.peers))
        self.host.entities(
            at(name, addresses.pipeline_run("")),
            lambda address: PipelineRun(state, keys.last(address), homes),
            idle_s=_IDLE_S,
        )
        self._spawn(addresses.RUNS, lambda: RunHome(state, self.peers))
        if machine.schedules:
            self._spawn(
                addresses.SCHEDULES, lambda: ScheduleHome(state, self.peers, machine.late_s.append)
            )

    def _start_execution(self) -> None:
        state, parent = self.state, addresses.EXECUTION
        self._spawn(parent, Execution)
        self._spawn(addresses.SUPERVISOR, lambda: SupervisorLink(self._port), parent)
        for index in range(SLOTS):
            self._spawn(addresses.slot(index), self._slot(index), parent)
        total = NodeCapacity(
            self.name,
            SLOTS,
            SLOTS,
            0,
            0,
            0,
            0,
            frozenset({"command"}),
            {"node": self.name},
            self.name,
        )
        self._spawn(
            addresses.SCHEDULER,
            lambda: Scheduler(state, self.peers, total=total, slots=SLOTS),
            parent,
        )
        self._spawn(addresses.DETECTOR, self._detector)
        self._spawn(
            addresses.AGENT,
            lambda: NodeAgent(
                state,
                peers=self.peers,
                describe=lambda: NodeRecord(self.name),
                next_incarnation=self.machine.next_incarnation,
            ),
            parent,
        )

    def _slot(self, index: int) -> Callable[[], ExecutorSlot]:
        return lambda: ExecutorSlot(
            self.state, index=index, node=self.name, name=self.name, open_secret=str
        )

    def _detector(self) -> Detector:
        order = self.machine.order
        return Detector(
            self.state,
            self.peers,
            self._clock,
            voters=lambda: order.voters,
            linked=lambda: frozenset(order.up),
            says=self._says,
            interval_ms=INTERVAL_MS,
            timeout_ms=TIMEOUT_MS,
        )

    def _says(self) -> NodeSaying:
        capacity = self.actor(addresses.SCHEDULER).capacity
        recorded = self.actor(addresses.HISTORY).recorded
        return NodeSaying(self.machine.incarnation, capacity, 0, recorded, {}, "0")

    def _sample(self, now_ms: int) -> NodeSample:
        return NodeSample(now_ms, self.name, 0, SLOTS, 0, 0, 0.0, 0)

    def _spawn(self, address: str, factory: Callable[[], Any], parent: str | None = None) -> None:
        def make() -> Any:
            actor = self._actors[address] = factory()
            return actor

        above = None if parent is None else at(self.name, parent)
        self.host.spawn(make, at(self.name, address), parent=above)


def _ignore(_: object) -> None:
    pass
