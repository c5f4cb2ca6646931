"""Draw schedules from seeds, run them, shrink what violates."""

from __future__ import annotations

import importlib
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple
from unittest import mock

from actors import limits
from actors.core import buckets
from tests.sim.jobs.bugs import NONE, Bug
from tests.sim.jobs.world import World
from tests.sim.violation import ViolationError

__all__ = ["Found", "Sweep", "draw", "patched", "run", "shrink", "sweep"]

Step = tuple[str, int, int, int]

_WEIGHTS = {
    "deliver": 20, "dup": 2, "drop": 1, "stall": 1, "unstall": 0.5, "reply": 14, "feed": 16,
    "agent": 7, "slot": 14, "sched": 10, "home": 12, "resubmit": 3, "supmsg": 12, "spawn": 8,
    "exit": 6, "tick": 3, "submit": 5, "cancel": 0.6, "detect": 0.5, "keep": 3, "crash": 0.5,
    "boot": 2, "cut": 0.5, "heal": 1.5, "supdie": 0.3, "power": 0.1,
}  # fmt: skip
_VARIED = ("dup", "drop", "stall", "unstall", "detect", "crash", "cut", "supdie", "power", "cancel")
# what some schedules have more or less of, each with a chance of 0.3
_MOODS: tuple[dict[str, float], ...] = (
    {"feed": 1 / 3},
    {"deliver": 1 / 2},
    {"supmsg": 1 / 8},
    {"crash": 6, "boot": 2},
    {"exit": 1 / 6},
    {"agent": 1 / 4, "detect": 3},
    {"exit": 1 / 10, "detect": 6, "home": 2, "cut": 3},
)


class Found(NamedTuple):
    seed: int
    invariant: str
    text: str


class Sweep(NamedTuple):
    found: list[Found]
    coverage: Counter[str]
    steps: int
    commits: int


@contextmanager
def patched(bug: Bug = NONE) -> Iterator[None]:
    """The model's time scale (an hour of buckets is 40 s, compacted at once), and a bug's patch."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(buckets, "HOUR_MS", 4 * buckets.FINE_MS))
        stack.enter_context(mock.patch.object(limits, "TERMINAL_KEEP_S", 0))
        if bug.after_attempt is not None:
            # the package's `finish` is the function; the module has to be asked for
            finishing = importlib.import_module("actors.core.job.finish")
            planted = partial(bug.after_attempt, finishing.after_attempt)
            stack.enter_context(mock.patch.object(finishing, "after_attempt", planted))
        yield


def draw(seed: int, length: int = 600) -> list[Step]:
    """The schedule of a seed."""
    r = random.Random(seed ^ 0x5EED)
    weights = dict(_WEIGHTS)
    for kind in (*_VARIED, "resubmit"):
        weights[kind] *= r.choice((0, 0.5, 1, 2, 4))
    for mood in _MOODS:
        if r.random() < 0.3:
            for kind, factor in mood.items():
                weights[kind] *= factor
    kinds = r.choices(list(weights), list(weights.values()), k=length)
    steps = []
    for kind in kinds:
        bits = r.getrandbits(30)
        steps.append((kind, bits & 1023, bits >> 10 & 1023, bits >> 20))
    return steps


def run(
    seed: int, steps: list[Step], bug: Bug = NONE, trace: list[str] | None = None
) -> tuple[World, Found | None]:
    """Run one schedule and settle. A failed assertion of the product is a violation too."""
    world = World(seed, bug, trace)
    try:
        for step in steps:
            world.step(*step)
        world.settle(random.Random(seed))
    except ViolationError as error:
        world.say(str(error))
        return world, Found(seed, error.invariant, str(error))
    except AssertionError as error:
        world.say(f"assert: {error}")
        return world, Found(seed, "assert", str(error))
    return world, None


def sweep(
    first: int, last: int, bug: Bug = NONE, *, length: int = 600, stop: bool = False
) -> Sweep:
    """Run the schedules of these seeds; with `stop` only up to the first violation."""
    result = Sweep([], Counter(), 0, 0)
    with patched(bug):
        for seed in range(first, last):
            world, found = run(seed, draw(seed, length), bug)
            result.coverage.update(world.coverage)
            result = result._replace(
                steps=result.steps + world.steps, commits=result.commits + len(world.store.log)
            )
            if found is not None:
                result.found.append(found)
                if stop:
                    break
    return result


def shrink(seed: int, steps: list[Step], bug: Bug, invariant: str, budget: int = 700) -> list[Step]:
    """Delete steps in halves, quarters, ... while the same invariant still breaks."""
    size = max(1, len(steps) // 2)
    while size and budget > 0:
        i, cut = 0, False
        while i < len(steps) and budget > 0:
            less = steps[:i] + steps[i + size :]
            budget -= 1
            _, found = run(seed, less, bug)
            if found is not None and found.invariant == invariant:
                steps, cut = less, True
            else:
                i += size
        if not cut or size > 1:
            size = size // 2 if size > 1 or not cut else 1
    return steps
