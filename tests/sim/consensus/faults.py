"""The faults of a run: drawn from its profile, each with a beginning and an end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from tests.sim.consensus.machine import Machine
from tests.sim.consensus.network import Link, Network
from tests.sim.consensus.profile import Profile

__all__ = ["schedule"]


class _World(Protocol):
    rng: random.Random
    now: int
    profile: Profile
    coverage: Counter[str]
    network: Network
    machines: dict[str, Machine]
    healed: bool

    def at(self, delay_ms: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Do something later."""


def schedule(world: _World) -> None:
    """Put all faults of the profile on the calendar."""
    profile, rng = world.profile, world.rng
    kinds: tuple[tuple[int, Callable[[_World], None]], ...] = (
        (profile.partitions, _partition),
        (profile.clogs, _clog),
        (profile.crashes, _crash),
        (profile.pauses, _pause),
        (profile.jumps, _jump),
        (profile.full_disks, _fill_disk),
        (3 if profile.replay else 0, _replay),
    )
    for count, begin in kinds:
        for _ in range(count):
            world.at(rng.randint(1, profile.faulty_ms * 9 // 10), begin, (world,))


def _some(world: _World) -> Machine:
    return world.machines[world.rng.choice(sorted(world.machines))]


def _links(world: _World) -> list[Link]:
    """The links between two sides, both ways, one way only, or those of one node."""
    rng, names = world.rng, sorted(world.machines)
    side = set(rng.sample(names, rng.randint(1, max(1, len(names) - 1))))
    across = [(a, b) for a in names for b in names if (a in side) and (b not in side)]
    kind = rng.choice(("both", "both", "out", "in", "pair"))
    if kind == "out":
        return across
    back = [(b, a) for a, b in across]
    if kind == "in":
        return back
    if kind == "pair":
        return across[:1]
    return across + back


def _partition(world: _World) -> None:
    """Cut some links for a while, or again and again for moments."""
    links = _links(world)
    rng = world.rng
    if rng.random() < 0.3:
        world.coverage["flapping partitions"] += 1
        for moment in range(0, rng.randint(60, 300), rng.randint(10, 40)):
            world.at(moment, _cut, (world, links, rng.randint(2, 20)))
    else:
        world.coverage["partitions"] += 1
        _cut(world, links, rng.randint(20, 500))


def _cut(world: _World, links: list[Link], ms: int) -> None:
    if not world.healed:
        mend = world.network.cut(links)
        world.at(ms, lambda: None if world.healed else mend(), ())


def _clog(world: _World) -> None:
    """Clog the links of some nodes one by one, then free them in another order."""
    rng = world.rng
    world.coverage["swizzle clogs"] += 1
    links = _links(world)
    for link in links:
        world.at(rng.randint(0, 50), _clog_one, (world, link))
        world.at(rng.randint(60, 400), world.network.unclog, (link,))


def _clog_one(world: _World, link: Link) -> None:
    if not world.healed:
        world.network.clog([link])


def _crash(world: _World) -> None:
    """End a process, or all at once, and start it again later."""
    rng = world.rng
    several = rng.random() < 0.15
    victims = list(world.machines.values()) if several else [_some(world)]
    power = rng.random() < world.profile.lost_power
    if several:
        world.coverage["crashes of all nodes at once"] += 1
    for machine in victims:
        if machine.is_up:
            world.coverage["crashes with the power" if power else "crashes"] += 1
            machine.kill(power=power)
            world.at(rng.choice((1, 20, 100, 400)), _restart, (machine,))


def _restart(machine: Machine) -> None:
    if not machine.is_up:
        machine.boot()


def _pause(world: _World) -> None:
    machine = _some(world)
    if machine.is_up:
        world.coverage["processes stopped"] += 1
        machine.stop()
        world.at(world.rng.choice((20, 100, 600)), machine.go_on, ())


def _jump(world: _World) -> None:
    world.coverage["clocks jumped"] += 1
    _some(world).jump(world.rng.choice((10, 1_000, 3_600_000)))


def _fill_disk(world: _World) -> None:
    machine = _some(world)
    world.coverage["disks filled"] += 1
    machine.storage.full = True
    world.at(world.rng.randint(10, 600), _free_disk, (machine,))


def _free_disk(machine: Machine) -> None:
    machine.storage.full = False


def _replay(world: _World) -> None:
    world.network.replay()
