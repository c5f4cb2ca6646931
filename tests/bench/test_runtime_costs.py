"""100,000 idle actors in one process: memory and spawn rate (architecture, numbers to reach)."""

from __future__ import annotations

import asyncio
import time

from actors.runtime import LoopHost, Ping
from tests.bench.bench_runtime import actor_bytes, spawn_rate

COUNT = 100_000
IDLE_ACTOR_BYTES = 4 * 1024
SPAWN_CPU_S = 1 / 20_000  # of each actor


def test_a_hundred_thousand_idle_actors() -> None:
    async def scenario() -> None:
        host = LoopHost()
        started = time.process_time()
        spawn_rate(host, COUNT)
        assert time.process_time() - started <= COUNT * SPAWN_CPU_S
        assert len(host.inspect()) == COUNT
        for n in range(0, COUNT, 1000):
            assert await host.ask(f"jobd://n1/idle/{n}", Ping()) == 1
        await host.shutdown()
        assert host.inspect() == []

    asyncio.run(scenario())


def test_an_idle_actor_is_small() -> None:
    async def scenario() -> None:
        host = LoopHost()
        assert actor_bytes(host, COUNT // 10) <= IDLE_ACTOR_BYTES
        await host.shutdown()

    asyncio.run(scenario())
