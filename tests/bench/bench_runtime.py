"""What a message and an actor cost in one process. Run: `python -m tests.bench.bench_runtime`.

Prints one line per measurement: name, value, unit. Goals (one core, no other load): tell 300 k/s,
pipelined ask 150 k/s, spawn 20 k/s, 4 KB per idle actor.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc

import msgspec
import uvloop

from actors.runtime import (
    Answered,
    Ask,
    Context,
    Effects,
    LoopActor,
    LoopHost,
    Reply,
    SimHost,
    Tell,
    handles,
)
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Bang, Count, Finish

__all__ = ["actor_bytes", "spawn_rate"]

_BURST = 50_000


class Add(msgspec.Struct, frozen=True):
    """Add one."""


class Get(msgspec.Struct, frozen=True):
    """Answered with the sum."""


class Tally(LoopActor):
    mailbox_limit = 2 * _BURST

    def __init__(self) -> None:
        self.sum = 0

    @handles(Add)
    def add(self, message: Add, context: Context) -> None:
        self.sum += 1

    @handles(Get)
    def get(self, message: Get, context: Context) -> Effects:
        return (Reply(context.reply, self.sum),)


class Asker(LoopActor):
    """Asks the tally and tells it something, again and again."""

    def __init__(self) -> None:
        self.left = _BURST
        self.done = asyncio.get_running_loop().create_future()

    def on_start(self) -> Effects:
        return [Ask("/tally", Get(), n) for n in range(100)]

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Effects:
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
        return (Tell("/tally", Add()), Ask("/tally", Get(), message.tag)) if self.left > 0 else None


async def tell_rate(host: LoopHost) -> float:
    """Return tells per second from outside, handled."""
    message = Add()
    started = time.perf_counter()
    for _ in range(_BURST):
        host.tell("/tally", message)
    await host.ask("/tally", Get())
    return _BURST / (time.perf_counter() - started)


async def ask_rate(host: LoopHost) -> float:
    """Return pipelined asks per second, 1,000 under way."""
    message = Get()
    started = time.perf_counter()
    for _ in range(_BURST // 1000):
        futures = [host.ask("/tally", message) for _ in range(1000)]
        for future in futures:
            await future
    return _BURST / (time.perf_counter() - started)


async def pair_rate(host: LoopHost) -> float:
    """Return ask + tell pairs per second between two actors, as effects."""
    asker = Asker()
    started = time.perf_counter()
    host.spawn(lambda: asker, "/asker")
    await asker.done
    elapsed = time.perf_counter() - started
    await host.stop("/asker")
    return _BURST / elapsed


def spawn_rate(host: LoopHost, count: int) -> float:
    """Return actors started per second."""
    started = time.perf_counter()
    for n in range(count):
        host.spawn(Tally, f"jobd://n1/idle/{n}")
    return count / (time.perf_counter() - started)


def actor_bytes(host: LoopHost, count: int) -> float:
    """Return bytes of an idle actor."""
    gc.collect()
    tracemalloc.start()
    spawn_rate(host, count)
    gc.collect()
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / count


def sim_rate() -> float:
    """Return messages per second in a simulation."""
    host = SimHost(1)
    host.spawn(Tally, "jobd://a/tally")
    count = 20_000
    started = time.perf_counter()
    for _ in range(count):
        host.tell("jobd://a/tally", Add())
    host.run_until(60.0)
    return count / (time.perf_counter() - started)


async def link_rate(host: LoopHost) -> float:
    """Return pipelined asks per second to a child process over ipc, 1,000 under way."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/node.sock"
        vocabulary = Vocabulary([Bang, Count, Finish])
        link = Link(host, endpoint, node="n1", incarnation=1, vocabulary=vocabulary)
        command = [sys.executable, "-m", "tests.integration.runtime.child", endpoint]
        child = subprocess.Popen(command)
        while "child" not in host.routes:
            await asyncio.sleep(0.01)
        started = time.perf_counter()
        for _ in range(_BURST // 1000):
            futures = [host.ask("jobd://child/counter", Count()) for _ in range(1000)]
            for future in futures:
                await future
        elapsed = time.perf_counter() - started
        child.kill()
        child.wait()
        link.close()
    return _BURST / elapsed


_RATES = (
    ("tell", tell_rate),
    ("ask pipelined", ask_rate),
    ("pair", pair_rate),
    ("ask over ipc", link_rate),
)


async def _measure() -> None:
    host = LoopHost()
    host.spawn(Tally, "/tally")
    for name, rate in _RATES:
        best = max([await rate(host) for _ in range(5)])
        print(f"{name:20} {best:12,.0f} /s")
    print(f"{'spawn, 100,000':20} {spawn_rate(host, 100_000):12,.0f} /s")
    started = time.perf_counter()
    await host.shutdown()
    print(f"{'stop, 100,000':20} {100_000 / (time.perf_counter() - started):12,.0f} /s")
    print(f"{'idle actor':20} {actor_bytes(LoopHost(), 10_000):12,.0f} bytes")
    print(f"{'simulated message':20} {sim_rate():12,.0f} /s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak RSS':20} {peak:12,.0f} MiB")


if __name__ == "__main__":
    uvloop.run(_measure())
