"""Changes of the members: learners join, voters are added, removed and replaced, all at random."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from actors.core.consensus.group import Reconfigure
from actors.core.store.txn import Txn
from actors.errors import JobdError
from actors.model.epoch import Epoch, Member
from tests.sim.consensus.machine import Answer, Machine
from tests.sim.violation import ViolationError

__all__ = ["Changes"]

_MOST_VOTERS = 5


class _World(Protocol):
    rng: random.Random
    now: int
    coverage: Counter[str]
    machines: dict[str, Machine]
    healed: bool

    def at(self, delay_ms: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Do something later."""


def _quorum_sizes(voters: int) -> range:
    return range(1, 2) if voters < 3 else range(2, (voters - 1) // 2 + 2)


class Changes:
    """The administrator."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._joined = 0

    def join(self, name: str) -> Machine | None:
        """Start a new node on another's image: a learner, until it is made a voter."""
        world = self._world
        donors = [m for m in world.machines.values() if m.is_up and not m.is_stopped and m.applied]
        if not donors or name in world.machines:
            return None
        world.coverage["learners joined"] += 1
        machine = Machine(world, name)  # type: ignore[arg-type]
        machine.install(world.rng.choice(donors).image())
        world.machines[name] = machine
        machine.boot()
        return machine

    def start(self, name: str) -> None:
        """Let a node join that stays a learner."""
        self.join(name)

    def change(self) -> None:
        """Ask a voter for the next epoch."""
        world, rng = self._world, self._world.rng
        voters = [
            m
            for m in world.machines.values()
            if m.is_up and not m.is_stopped and m.name in m.chain.epoch.nodes
        ]
        if world.healed or not voters:
            return
        machine = rng.choice(voters)
        epoch = machine.chain.epoch
        names = list(epoch.nodes)
        others = [name for name in world.machines if name not in names]
        kind = rng.choice(("add", "add", "remove", "replace", "quorum", "three"))
        if kind == "three" and len(names) < 3:
            names += self._newcomers(3 - len(names))
        elif kind in ("add", "replace") and len(names) < _MOST_VOTERS:
            names += [rng.choice(others)] if others else self._newcomers(1)
        if kind in ("remove", "replace") and len(names) > 1:
            names.remove(rng.choice(names))
        size = rng.choice(_quorum_sizes(len(names)))
        following = Epoch(
            epoch.number + 1, epoch.cluster, tuple(Member(name) for name in names), size
        )
        world.coverage[f"changes asked for ({kind})"] += 1
        ticket = machine.ticket(self._answered)
        txn = Txn((), (("kv/epoch", msgspec.msgpack.encode(names)),))
        machine.step(Reconfigure(ticket, txn, following))

    def _newcomers(self, count: int) -> list[str]:
        names = []
        for _ in range(count):
            self._joined += 1
            machine = self.join(f"x{self._joined}")
            if machine is not None:
                names.append(machine.name)
        return names

    def _answered(self, answer: Answer) -> None:
        if isinstance(answer, JobdError):
            self._world.coverage[f"changes refused ({answer.code})"] += 1
        elif answer is None:
            raise ViolationError("I14", "a change answered as a read")
        else:
            self._world.coverage["changes made"] += 1
