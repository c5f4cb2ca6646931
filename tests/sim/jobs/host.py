"""What outlives a node process: its job supervisor, the spool on disk, the durable incarnation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.core.job import Ending, Held
from tests.sim.violation import ViolationError

if TYPE_CHECKING:
    from tests.sim.jobs.world import World

__all__ = ["ENDINGS", "EXITED", "Host"]

EXITED = frozenset(("ok", "fail", "killed", "drained"))
ENDINGS = {
    "ok": Ending("succeeded", "exit", 0),
    "fail": Ending("failed", "exit", 1),
    "killed": Ending("cancelled", "killed"),
    "drained": Ending("preempted", "drained"),
}
_HELD = {
    "reg": Held("registered"),
    "run": Held("running"),
    **{phase: Held("exited", ending) for phase, ending in ENDINGS.items()},
}


class Host:
    """A machine. Attempts are `reg`, then `run`, then one of EXITED, until acknowledged.

    `chan` holds frames of node processes (proc, op, attempt, supervisor number), FIFO per process.
    """

    def __init__(self, world: World, me: int) -> None:
        self.world, self.me = world, me
        self.number, self.alive, self.hello, self.incarnation = 1, True, 0, 0
        self.regs: dict[str, str] = {}
        self.chan: list[tuple[int, str, str, int]] = []
        self.spool: dict[str, str] = {}  # exit records
        self.orphans: set[str] = set()  # run on though their supervisor died
        self.pend: list[str] = []  # spawned but not registered: planted bug only

    @property
    def instance(self) -> str:
        return f"s{self.me}.{self.number}"

    def held(self, key: str) -> Held | None:
        phase = self.regs.get(key) or self.spool.get(key)
        return _HELD[phase] if phase is not None else None

    def restart(self) -> None:
        self.number += 1
        self.alive, self.regs, self.pend, self.chan, self.hello = True, {}, [], [], 0
        self.world.say(f"n{self.me} starts supervisor {self.instance}")

    def take_frame(self, y: int = 0) -> None:
        """Handle one frame; each node process has a connection, a dead one's may linger."""
        if not self.chan or not self.alive:
            return
        procs = sorted({frame[0] for frame in self.chan})
        proc = procs[-1] if y % 16 else procs[0]
        if len(procs) == 1 and proc < self.hello and y % 16:
            return
        i = next(i for i, frame in enumerate(self.chan) if frame[0] == proc)
        proc, op, key, number = self.chan.pop(i)
        flags = self.world.flags
        if number != self.number or (proc < self.hello and "old_hello" not in flags):
            return
        phase = self.regs.get(key)
        if op == "start":
            if "spawn_first" in flags and phase is None:
                self._spawned(key)
                self.pend.append(key)
            elif phase is None or ("start_twice" in flags and phase == "run"):
                self.regs[key] = "reg"
        elif op in ("kill", "drain") and phase in (None, "reg", "run"):
            self.regs[key] = self.spool[key] = "killed" if op == "kill" else "drained"
            self.world.cover("kill of an attempt never started", phase is None)
            gone = key not in self.world.store.truth.entries
            self.world.cover("kill of a superseded running attempt", phase == "run" and gone)
            self.world.say(f"supervisor {self.instance} kills {key} ({phase or 'unknown'})")
        elif op == "ack" and phase in EXITED:
            del self.regs[key]
            self.spool.pop(key, None)

    def spawn(self, y: int) -> None:
        if not self.alive:
            return
        if self.pend:
            self.regs.setdefault(self.pend.pop(0), "run")
            return
        registered = sorted(key for key, phase in self.regs.items() if phase == "reg")
        if registered:
            key = registered[y % len(registered)]
            self.regs[key] = "run"
            self._spawned(key)

    def exit(self, y: int, z: int) -> None:
        running = sorted(key for key, phase in self.regs.items() if phase == "run")
        if running and self.alive:
            key = running[y % len(running)]
            how = "ok" if z % 5 < 3 else "fail"
            self.regs[key] = self.spool[key] = self.world.natural[key] = how
            self.world.say(f"n{self.me}: {key} exits {how}")

    def supervisor_dies(self, z: int) -> None:
        self.world.say(f"supervisor {self.instance} dies")
        self.alive, self.chan = False, []
        self.orphans |= {key for key, phase in self.regs.items() if phase == "run" and z % 2}

    def power_loss(self) -> None:
        self.world.say(f"host of n{self.me} loses power")
        self.alive, self.regs, self.chan, self.spool = False, {}, [], {}
        self.orphans, self.pend = set(), []

    def _spawned(self, key: str) -> None:
        world = self.world
        world.spawned[key] = world.spawned.get(key, 0) + 1
        world.say(f"supervisor {self.instance} spawns {key}")
        if key in world.finished:
            raise ViolationError("I-o", f"{key} spawned after its own node ended it")
        if world.spawned[key] > 1:
            raise ViolationError("I-a", f"{key} spawned twice")
