"""What a question costs between processes: to a node over tcp, and through it to another client.

Run: `scripts/bench wire [CALLS]`. One line per pattern: calls per second, and the CPU microseconds
of a call in the caller, the node and the callee. Each process is a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from actors.runtime import Invoke, LoopHost, Principal
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from tests.bench.processes import cpu_s
from tests.unit.runtime.messages import Count, Counter

_PIPELINED = 1_000
_DICT = {f"key-{n}": "v" * 10 for n in range(15)}  # 300 bytes
_BLOB = bytes(1024 * 1024)
_CALLS = 20_000


async def serve() -> None:
    """Be the node; print where it listens."""
    host = LoopHost()
    host.spawn(Counter, "/counter")
    words = Vocabulary([Count])
    words.expose(Count, "run")
    all_scopes = frozenset({"read", "run"})
    link = Link(
        host,
        "tcp://127.0.0.1:*",
        node="n1",
        incarnation=1,
        vocabulary=words,
        admit=lambda hello: Principal("bench", all_scopes),
    )
    print(link.endpoint, flush=True)
    await asyncio.Event().wait()


async def one_by_one(ask: Callable[[], Awaitable[Any]], calls: int) -> None:
    """Have one question under way."""
    for _ in range(calls):
        await ask()


async def pipelined(ask: Callable[[], Awaitable[Any]], calls: int) -> None:
    """Have 1,000 questions under way."""
    for _ in range(calls // _PIPELINED):
        for future in [ask() for _ in range(_PIPELINED)]:
            await future


async def measure(calls: int) -> None:
    """Run every pattern once and print its line."""
    node = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_wire", "node"], stdout=subprocess.PIPE
    )
    assert node.stdout is not None
    endpoint = node.stdout.readline().decode().strip()
    client = [sys.executable, "-m", "tests.integration.runtime.client", endpoint, "callee"]
    callee = subprocess.Popen(client)
    host = LoopHost()
    link = Link(
        host,
        endpoint,
        node="caller",
        incarnation=1,
        vocabulary=Vocabulary([Count]),
        token="",
    )
    await link.ready
    await asyncio.sleep(1)  # until the callee is there, with its bulk lane

    def asking(address: str, message: object) -> Callable[[], Awaitable[Any]]:
        return lambda: host.ask(address, message)

    echo = "jobd://callee/echo"
    patterns = (
        ("node, one by one", one_by_one, asking("jobd://n1/counter", Count()), calls // 10),
        ("node, pipelined", pipelined, asking("jobd://n1/counter", Count()), calls),
        ("relay, one by one", one_by_one, asking(echo, Invoke("any", (1,))), calls // 10),
        ("relay, pipelined", pipelined, asking(echo, Invoke("any", (1,))), calls),
        ("relay, pipelined, 300 B", pipelined, asking(echo, Invoke("any", (_DICT,))), calls),
        ("relay, 1 MiB", one_by_one, asking(echo, Invoke("any", (1, _BLOB))), calls // 100),
    )
    processes = ([os.getpid()], [node.pid], [callee.pid])
    for name, drive, ask, count in patterns:
        await drive(ask, max(_PIPELINED, count // 10) if drive is pipelined else 10)
        before = [cpu_s(each) for each in processes]
        began = time.perf_counter()
        await drive(ask, count)
        took = time.perf_counter() - began
        costs = [
            (cpu_s(each) - was) / count * 1e6 for each, was in zip(processes, before, strict=True)
        ]
        print(
            f"{name:24} {count / took:9,.0f} /s  {costs[0]:7.1f} {costs[1]:7.1f} {costs[2]:7.1f} µs"
        )
    link.close()
    for process in (node, callee):
        process.kill()
        process.wait()
    node.stdout.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["node"]:
        uvloop.run(serve())
    else:
        uvloop.run(measure(int(sys.argv[1]) if sys.argv[1:] else _CALLS))
