"""Three nodes, their hosts, a store and a network that delays, reorders, drops and duplicates.

A schedule is a list of small integers (kind, x, y, z), so that a violation shrinks by deleting
steps; the same seed is the same run. Faults first (safety); then the faults stop and every accepted
job must end and leave nothing behind (liveness, I-c).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from actors.core.room import cordoned
from actors.core.store.txn import Committed, Result, Stale
from actors.model import keys
from actors.model.ids import make_id
from actors.model.job import TERMINAL
from actors.model.spec import Concurrency, JobSpec, NodeLost, OnLimit, Retry, Trigger
from tests.sim.jobs import invariants
from tests.sim.jobs.bugs import NONE, Bug
from tests.sim.jobs.host import Host
from tests.sim.jobs.node import TICK_MS, Node
from tests.sim.jobs.store import Msg, Store
from tests.sim.violation import ViolationError

__all__ = ["NODES", "World"]

NODES = (0, 1, 2)
_EPOCH_MS = 1_000_000_000_000
_ROUNDS = 200


class World:
    """All of it, and what the checker remembers of it."""

    def __init__(self, seed: int, bugs: Bug = NONE, trace: list[str] | None = None) -> None:
        r = random.Random(seed)
        self.bugs, self.flags, self.trace = bugs, bugs.flags, trace
        self.now, self.steps = _EPOCH_MS, 0
        self.store = Store()
        if bugs.tables is not None:
            self.store.state.sessions = bugs.tables()
        self.net: list[Msg] = []
        self.held: list[Msg] = []  # sent by nodes that are cut off
        self.stalled: list[Msg] = []
        self.replies: list[tuple[Msg, Result]] = []
        self.key_max = r.choice((1, 2))
        self.specs = _draw_specs(r, self.key_max)
        self.spec_of: dict[str, JobSpec] = {}
        self.slow = r.choice((None, None, *NODES))
        self.gone = {} if r.random() < 0.6 else {r.choice(NODES): r.choice(("crash", "cut"))}
        self.minted: dict[int, str] = {}
        self.accepted: set[str] = set()
        self.stopped: set[str] = set()
        self.judged: set[str] = set()
        self.finished: set[str] = set()
        self.natural: dict[str, str] = {}
        self.spawned: dict[str, int] = {}
        self.answers: dict[tuple[int, int, int], tuple[str, int, int]] = {}
        self.coverage: Counter[str] = Counter()
        self.hosts = [Host(self, n) for n in NODES]
        self.nodes = [Node(self, n) for n in NODES]
        self._warm_start()

    def _warm_start(self) -> None:
        """Every node has a session and a supervisor."""
        for node in self.nodes:
            node.boot()
        for _ in range(2):
            for node in self.nodes:
                node.agent(0)
            while self.net:
                self.deliver(self.net.pop())
            for node in self.nodes:
                node.feed(99)
                node.agent(0)
        self.coverage.clear()

    def say(self, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"t{(self.now - _EPOCH_MS) // TICK_MS:<3} {text}")

    def cover(self, what: str, ok: bool = True) -> None:
        if ok:
            self.coverage[what] += 1

    def job_id(self, j: int) -> str:
        """The id of the schedule's j-th job, minted once, at the first submission."""
        if j not in self.minted:
            self.minted[j] = make_id(self.now, j)
            self.spec_of[self.minted[j]] = self.specs[j]
        return self.minted[j]

    # -- the network

    def send(self, msg: Msg) -> None:
        (self.held if self.nodes[msg.node].cut else self.net).append(msg)

    def deliver(self, msg: Msg) -> None:
        truth = self.store.truth
        before = {key: truth.get(key) for key, _ in msg.txn.ops}
        result, new = self.store.apply(msg.txn)
        self.replies.append((msg, result))
        self.coverage[f"{msg.kind} {type(result).__name__}"] += 1
        if self.trace is not None:
            again = "" if new or not isinstance(result, Committed) else " (again)"
            self.say(f"store: n{msg.node} {msg.kind} {msg.about} -> {result}{again}")
        if msg.session and not isinstance(result, Stale):
            self._one_answer(msg, result)
        if new:
            invariants.check(self, msg, before)

    def _one_answer(self, msg: Msg, result: Result) -> None:
        """I-s."""
        assert msg.txn.session is not None
        place = (msg.node, msg.session, msg.txn.session.seq)
        answer = (type(result).__name__, getattr(result, "revision", 0))
        was = self.answers.setdefault(place, (*answer, msg.proc))
        if was[:2] != answer:
            raise ViolationError("I-s", f"{msg.kind} {msg.about}: {was[0]}, later {answer[0]}")
        if was[2] != msg.proc:
            raise ViolationError("I-s", f"two processes of n{msg.node} share a session")

    # -- one step of a schedule

    def step(self, kind: str, x: int, y: int, z: int) -> None:
        self.steps += 1
        ready = _READY.get(kind)
        if ready is not None:
            able = [i for i in NODES if ready(self.nodes[i], self.hosts[i])]
            if not able:
                return
            x = able[x % len(able)]
        x %= 3
        if x == self.slow and kind in _SLOWED and z % 6:
            return
        _STEPS[kind](self, self.nodes[x], y, z)

    def crash(self, node: Node) -> None:
        node.up = False
        self.held = [msg for msg in self.held if msg.node != node.me]
        self.say(f"{node.name} crashes")

    def cut_off(self, node: Node) -> None:
        node.cut = True
        self.say(f"{node.name} is cut off")

    def heal(self, node: Node) -> None:
        node.cut = False
        self.net += [msg for msg in self.held if msg.node == node.me]
        self.held = [msg for msg in self.held if msg.node != node.me]
        self.say(f"{node.name} is connected again")

    # -- the faults stop: everything must end

    def settle(self, r: random.Random) -> None:
        self.say("-- the faults stop")
        self.net += self.stalled
        self.stalled = []
        for node in self.nodes:
            how = self.gone.get(node.me)
            if how == "crash" and node.up:
                self.crash(node)
            if how and not node.cut:
                self.cut_off(node)
            elif not how and node.cut:
                self.heal(node)
            if not how and not node.up:
                node.boot()
        for turn in range(_ROUNDS):
            self._round(turn, r)
            if self._quiet():
                break
        self._nothing_left()

    def _round(self, turn: int, r: random.Random) -> None:
        for node, host in zip(self.nodes, self.hosts, strict=True):
            if node.me not in self.gone:
                node.feed(1 << 30)
            if node.up:
                node.agent(0)
                node.slot(0)
            while host.chan and host.alive:
                host.take_frame(0)
            for _ in range(4):
                host.spawn(0)
            host.exit(0, r.randrange(5))
            host.exit(0, r.randrange(5))
            if node.up:
                for other in self.gone:
                    if node.me not in self.gone:
                        node.declare_lost(other)
                node.homes()
                if cordoned(node.view, node.name):
                    node.drain(0)
                for y in range(3):
                    node.schedule(y + turn)
        r.shuffle(self.net)
        while self.net:
            self.deliver(self.net.pop())
        for msg, result in self.replies:
            if self.nodes[msg.node].up and not self.nodes[msg.node].cut:
                self.nodes[msg.node].reply(msg, result)
        self.replies = []
        for node in self.nodes:
            if node.up and node.me not in self.gone:  # what was dropped is sent again
                self.net += [f.msg for f in node.flight.values() if not f.committed]
        self.now += TICK_MS * (1 + turn // 4)

    def _quiet(self) -> bool:
        held = any(self.hosts[x].regs for x in NODES if x not in self.gone)
        rest = any(key[:2] not in ("se", "cl", "no") for key in self.store.truth.entries)
        return not self.net and not held and not rest

    def _nothing_left(self) -> None:
        entries = self.store.truth.entries
        for key, entry in entries.items():
            if keys.kind(key) in ("job", "task") and entry.noun.state not in TERMINAL:
                raise ViolationError("I-c", f"{key} is {entry.noun.state} for ever")
        rest = [key for key in entries if keys.kind(key) not in ("session", "closed", "node")]
        if any(keys.kind(key) == "permit" for key in rest):
            raise ViolationError("I-d", f"leaked: {rest}")
        if rest:
            raise ViolationError("I-c", f"left behind: {rest}")
        for x in NODES:
            if x not in self.gone and self.hosts[x].regs:
                raise ViolationError("I-c", f"supervisor of n{x} still holds {self.hosts[x].regs}")


def _draw_specs(r: random.Random, key_max: int) -> list[JobSpec]:
    storm = r.random() < 0.25  # everything is requeued
    on_limit: OnLimit = "queue"
    if r.random() < 0.3:
        on_limit = r.choice(("cancel_running", "cancel_new", "fail"))
    key = (Concurrency("k", key_max, on_limit),)
    return [_draw_spec(r, storm, key) for _ in range(r.choice((1, 2, 3, 4, 5, 6)))]


def _draw_spec(r: random.Random, storm: bool, key: tuple[Concurrency, ...]) -> JobSpec:
    lost = "requeue" if storm else r.choice(("requeue", "fail", "wait", "waitq"))
    retry_on = ("failed", "timeout") + (("node_lost",) if r.random() < 0.3 else ())
    common: dict[str, Any] = {
        "name": "model",
        "type": "command",
        "retry": Retry(
            r.choice((1, 2, 3)), "constant", 2 * TICK_MS, jitter="none", retry_on=retry_on
        ),
        "node_lost": NodeLost(
            4 * TICK_MS if lost in ("wait", "waitq") else 0,
            "requeue" if lost in ("requeue", "waitq") else "fail",
        ),
        "total_timeout_ms": r.choice((0, 0, 0, 0, 0, 14 * TICK_MS)),
        "schedule_timeout_ms": r.choice((0, 0, 0, 0, 0, 6 * TICK_MS)),
        "expires_ms": r.choice((0, 0, 0, 9 * TICK_MS)),
    }
    if r.random() < 0.3:
        key = key if r.random() < 0.3 else ()
        wanted, fast = r.choice((2, 3)), r.random() < 0.4
        return JobSpec(
            **common, tasks=3, parallelism=2, min_success=wanted, fail_fast=fast, concurrency=key
        )
    trigger = Trigger(delay_ms=r.choice((None, None, 3 * TICK_MS)))
    return JobSpec(**common, trigger=trigger, concurrency=key if r.random() < 0.5 else ())


def _reply(world: World, _: Node, y: int, z: int) -> None:
    if not world.replies:
        return
    msg, result = world.replies.pop(y % len(world.replies))
    node = world.nodes[msg.node]
    if node.up and not node.cut and z % 8:
        node.reply(msg, result)


def _drop(world: World, _: Node, y: int, z: int) -> None:
    if not world.net:
        return
    msg = world.net.pop(y % len(world.net))
    world.say(f"the network drops n{msg.node} {msg.kind} {msg.about}")


def _tick(world: World, _: Node, y: int, z: int) -> None:
    world.now += TICK_MS * (1 + y % 2)


def _detect(node: Node, other: int, z: int) -> None:
    """The detector accuses another node; or an operator drains this one."""
    if not node.up or node.cut:
        return
    if other == node.me:
        node.drain(z)
    else:
        node.declare_lost(other)


def _checkpoint(world: World, node: Node, y: int, z: int) -> None:
    if node.up:
        node.kept = max(node.kept, node.view.revision - y % 5)


# which nodes a step means something to
_READY: dict[str, Any] = {
    "supmsg": lambda n, h: h.alive and h.chan,
    "spawn": lambda n, h: h.alive and (h.pend or "reg" in h.regs.values()),
    "exit": lambda n, h: h.alive and "run" in h.regs.values(),
    "feed": lambda n, h: n.up and not n.cut and n.view.revision < len(n.world.store.log),
    "boot": lambda n, h: not n.up,
    "heal": lambda n, h: n.cut,
    "resubmit": lambda n, h: n.up and n.flight,
}
_SLOWED = frozenset(("feed", "agent", "slot", "sched", "home", "heal"))

_STEPS: dict[str, Any] = {
    "deliver": lambda w, n, y, z: w.net and w.deliver(w.net.pop(y % len(w.net))),
    "dup": lambda w, n, y, z: w.net and w.deliver(w.net[y % len(w.net)]),
    "drop": _drop,
    "stall": lambda w, n, y, z: w.net and w.stalled.append(w.net.pop(y % len(w.net))),
    "unstall": lambda w, n, y, z: w.stalled and w.net.append(w.stalled.pop(y % len(w.stalled))),
    "reply": _reply,
    "feed": lambda w, n, y, z: n.feed(n.view.revision + 1 + y % 6),
    "agent": lambda w, n, y, z: n.up and n.agent(z),
    "slot": lambda w, n, y, z: n.up and n.slot(z),
    "sched": lambda w, n, y, z: n.up and n.schedule(y),
    "home": lambda w, n, y, z: n.up and n.homes(y),
    "resubmit": lambda w, n, y, z: n.resubmit(y),
    "submit": lambda w, n, y, z: n.up and n.number > 0 and n.submit_job(y % len(w.specs), z),
    "cancel": lambda w, n, y, z: n.up and n.cancels.add(w.job_id(y % len(w.specs))),
    "supmsg": lambda w, n, y, z: n.host.take_frame(y),
    "spawn": lambda w, n, y, z: n.host.spawn(y),
    "exit": lambda w, n, y, z: n.host.exit(y, z),
    "tick": _tick,
    "detect": lambda w, n, y, z: _detect(n, y % 3, z),
    "keep": _checkpoint,
    "crash": lambda w, n, y, z: n.up and w.crash(n),
    "boot": lambda w, n, y, z: n.boot(),
    "cut": lambda w, n, y, z: n.cut or w.cut_off(n),
    "heal": lambda w, n, y, z: w.heal(n),
    "supdie": lambda w, n, y, z: n.host.alive and n.host.supervisor_dies(z),
    "power": lambda w, n, y, z: (n.up and w.crash(n), n.host.power_loss()),
}
