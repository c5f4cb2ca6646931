"""A simulated job supervisor: the product's registry, a spool, and processes that only take time.

It is a process of its own: a crash of the node leaves it alone, and it can be killed or lose power
without the node. A connection keeps the order of its frames, delays them, repeats some, and what a
dead node process had sent still arrives, also after its successor has said hello.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from actors.core import attempt_registry as registry
from actors.core.supervisor_protocol import (
    VERSION,
    ExitRecord,
    Hello,
    Launch,
    NodeFrame,
    Refused,
    SupervisorFrame,
    Welcome,
)
from actors.runtime import SimHost

__all__ = ["SimPort", "SimSupervisor", "Spool"]

_DELAY_S = 0.004
_STALL_S = 2.0
_KILL_S = 0.05
_START_S = 0.05
_RETRY_S = 0.2


class Spool:
    """What is on disk of the attempts; written without fsync."""

    def __init__(self) -> None:
        self.intents: dict[str, int] = {}  # attempt -> fence
        self.exits: dict[str, ExitRecord] = {}
        self.outputs: dict[str, bytes] = {}  # path -> content

    def forget(self, attempt: str) -> None:
        self.intents.pop(attempt, None)
        self.outputs.pop(f"{attempt}/output", None)
        self.exits.pop(attempt, None)

    def lose_power(self, rng: random.Random) -> None:
        """Any of it may be gone: an exit record, or all of an attempt."""
        for attempt in list(self.intents):
            fate = rng.choice(("kept", "exit lost", "lost"))
            if fate == "lost":
                self.forget(attempt)
            elif fate == "exit lost":
                self.exits.pop(attempt, None)


class _Process(NamedTuple):
    """A running job. A handle is an event of the host, to be cancelled."""

    launch: Launch
    started_ms: int
    end: Any


class _Connection:
    """A socket with its two directions. `dead`: the node's end is gone."""

    def __init__(self, supervisor: SimSupervisor, number: int, port: SimPort) -> None:
        self._supervisor = supervisor
        self.number = number
        self._port = port
        self._last_s = [0.0, 0.0]
        self.dead = False

    def to_supervisor(self, frame: NodeFrame) -> None:
        self._carry(0, self._supervisor.receive, self, frame)

    def to_node(self, frame: SupervisorFrame) -> None:
        self._carry(1, self._arrive, frame)

    def close(self) -> None:
        """The node's end is gone; the supervisor finds that out behind the frames sent before."""
        self.dead = True
        self._carry(0, self._supervisor.disconnected, self)

    def _arrive(self, frame: SupervisorFrame) -> None:
        if not self.dead:
            self._port.arrived(self, frame)

    def _carry(self, way: int, deliver: Callable[..., None], *args: Any) -> None:
        host, rng = self._supervisor.host, self._supervisor.rng
        delay_s = rng.uniform(0, _STALL_S if rng.random() < 0.02 else _DELAY_S)
        self._last_s[way] = at_s = max(self._last_s[way], host.clock.elapsed_s + delay_s)
        copies = 2 if rng.random() < 0.03 and not isinstance(args[-1], Hello | Welcome) else 1
        for _ in range(copies):
            host.call_later(at_s - host.clock.elapsed_s, deliver, *args)


class SimSupervisor:
    """The supervisor of one machine, through all its instances.

    `spawned` is told of each spawn, `forgotten` of each exit record that goes with its spool.
    """

    def __init__(
        self,
        host: SimHost,
        rng: random.Random,
        spawned: Callable[[str], None],
        forgotten: Callable[[str, ExitRecord], None],
    ) -> None:
        self.host = host
        self.rng = rng
        self.spool = Spool()
        self.registry: registry.AttemptRegistry | None = None
        self._spawned = spawned
        self._forgotten = forgotten
        self._instances = 0
        self._boots = 0
        self._connections: dict[int, _Connection] = {}
        self._count = 0
        self._processes: dict[str, _Process] = {}

    def __len__(self) -> int:
        return 0 if self.registry is None else len(self.registry)

    # -- its life

    def start(self) -> None:
        """Begin an instance: what an earlier one held has ended, or is ended now."""
        self._instances += 1
        self.registry = registry.AttemptRegistry(
            instance=f"s{self._instances}",
            boot_id=f"b{self._boots}",
            cgroup="none",
            pid=self._instances,
        )
        for attempt, fence in self.spool.intents.items():
            if attempt not in self.spool.exits:
                self._end_process(attempt)
                lost = ExitRecord(reason="lost", detail="died", ended_ms=self._now_ms())
                self.spool.exits[attempt] = lost
            self.registry.adopt(attempt, fence, self.spool.exits[attempt])

    def kill(self) -> None:
        """Kill -9: its jobs run on as orphans until the next instance ends them."""
        self.registry = None
        for connection in self._connections.values():
            connection.dead = True
            connection._port.lost(connection)
        self._connections.clear()

    def lose_power(self) -> None:
        self.kill()
        self._boots += 1
        for attempt in list(self._processes):
            self._end_process(attempt)
        self.spool.lose_power(self.rng)

    def _end_process(self, attempt: str) -> None:
        process = self._processes.pop(attempt, None)
        if process is not None:
            process.end.cancel()

    # -- connections

    def connect(self, port: SimPort) -> _Connection:
        self._count += 1
        connection = self._connections[self._count] = _Connection(self, self._count, port)
        return connection

    def receive(self, connection: _Connection, frame: NodeFrame) -> None:
        if self.registry is not None and connection.number in self._connections:
            self._do(self.registry.receive(connection.number, frame, self._now_ms()))

    def disconnected(self, connection: _Connection) -> None:
        if self._connections.pop(connection.number, None) and self.registry is not None:
            self.registry.disconnected(connection.number)

    # -- effects of the registry

    def _do(self, effects: list[registry.Effect]) -> None:
        assert self.registry is not None, "effects come of a registry"
        for effect in effects:
            match effect:
                case registry.Register():
                    self.spool.intents[effect.attempt] = effect.fence
                case registry.Spawn():
                    self._spawn(effect.attempt, effect.launch)
                case registry.Record():
                    self.spool.exits[effect.attempt] = effect.exit
                case registry.Terminate():
                    self._terminate(effect)
                case registry.Forget():
                    self._forgotten(effect.attempt, self.spool.exits[effect.attempt])
                    self.spool.forget(effect.attempt)
                case registry.Send():
                    if effect.peer in self._connections:
                        self._connections[effect.peer].to_node(effect.frame)
                case registry.Close():
                    if effect.peer in self._connections:
                        self.disconnected(self._connections[effect.peer])

    def _spawn(self, attempt: str, launch: Launch) -> None:
        """Spawn what `argv` says: for the n-th attempt `milliseconds:exit code[:big output]`."""
        assert self.registry is not None
        self._spawned(attempt)
        n = int(launch.environment["JOBD_ATTEMPT"])
        took_ms, code, *big = launch.argv[min(n, len(launch.argv)) - 1].split(":")
        at_ms, logged = self._now_ms(), self.rng.choice((0, 3))
        ends = ExitRecord(reason="exit", code=int(code), started_ms=at_ms, log_seq=logged)
        if big:
            path = f"{attempt}/output"
            self.spool.outputs[path] = b'"large"'
            ends = msgspec.structs.replace(ends, output_size=1 << 20, output_path=path)
        if launch.timeout_ms and launch.timeout_ms < int(took_ms):
            took_ms = str(launch.timeout_ms)
            ends = ExitRecord(reason="timeout", signal=15, started_ms=at_ms, log_seq=logged)
        timer = self.host.call_later(int(took_ms) / 1000, self._exit, attempt, ends)
        self._processes[attempt] = _Process(launch, at_ms, timer)
        self._do(self.registry.spawned(attempt, self._count, 1, at_ms))

    def _terminate(self, effect: registry.Terminate) -> None:
        process = self._processes.get(effect.attempt)
        if process is not None:
            killed = ExitRecord(reason="killed", signal=15, kill_reason=effect.reason)
            self.host.call_later(_KILL_S, self._exit, effect.attempt, killed)

    def _exit(self, attempt: str, ends: ExitRecord) -> None:
        if attempt not in self._processes:
            return
        if self.registry is None:  # an orphan: nobody saw how it ended
            self._end_process(attempt)
            return
        self._end_process(attempt)
        self._do(self.registry.ended(attempt, ends))

    def _now_ms(self) -> int:
        return self.host.clock.now_ms()


class SimPort:
    """A node process's SupervisorPort: connects again until it succeeds, as ReconnectingPort."""

    def __init__(
        self,
        supervisor: SimSupervisor,
        hello: Callable[[], tuple[str, int]],
        on_frame: Callable[[SupervisorFrame], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._supervisor = supervisor
        self._hello = hello
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._connection: _Connection | None = None
        self._opening = False
        self._alive = True

    def open(self) -> None:
        if not self._opening:
            self._opening = True
            self._supervisor.host.call_later(_DELAY_S, self._connect)

    def _connect(self) -> None:
        if not self._alive:
            return
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._supervisor.registry is None:
            self._supervisor.start()
            self._supervisor.host.call_later(_START_S, self._connect)
            return
        self._connection = self._supervisor.connect(self)
        self._connection.to_supervisor(Hello(VERSION, *self._hello()))

    def arrived(self, connection: _Connection, frame: SupervisorFrame) -> None:
        if connection is not self._connection:
            return
        if self._opening and isinstance(frame, Refused):
            self._supervisor.host.call_later(_RETRY_S, self._connect)
            return
        self._opening = False
        self._on_frame(frame)

    def lost(self, connection: _Connection) -> None:
        """The supervisor died."""
        if not self._alive or connection is not self._connection:
            return
        self._connection = None
        if self._opening:
            self._supervisor.host.call_later(_RETRY_S, self._connect)
        else:
            self._supervisor.host.call_later(_DELAY_S, self._tell_lost)

    def _tell_lost(self) -> None:
        if self._alive:
            self._on_lost()

    def send(self, frame: NodeFrame) -> None:
        if self._connection is not None and not self._opening:
            self._connection.to_supervisor(frame)

    def kill(self) -> None:
        """The node process is gone; what it sent is still in the socket."""
        self._alive = False
        if self._connection is not None:
            self._connection.close()
