"""What idle listeners of /events/stream cost: memory, CPU while nothing and while much happens.

`scripts/bench listeners [N]`. Half of them listen for types that never come, half each for a
subject of its own; then custom events are emitted that none of them hears.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import aiohttp

from tests.integration.node_process import NodeProcess, running

LISTENERS: Final = 5_000
EVENTS: Final = 2_000
EMITTERS: Final = 8
IDLE_S: Final = 20.0


def memory_mib(node: NodeProcess) -> float:
    """Return the resident memory of a node."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_s(node: NodeProcess) -> float:
    """Return the CPU seconds of a node."""
    fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def listen(node: NodeProcess, count: int) -> list[asyncio.StreamWriter]:
    """Open streams, and return once all of them listen."""
    host, _, port = node.url.removeprefix("http://").partition(":")
    writers = []
    for i in range(count):
        reader, writer = await asyncio.open_connection(host, int(port))
        query = "types=never:*" if i % 2 else f"subject=nobody/{i}"
        writer.write(
            f"GET /api/v1/events/stream?{query} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {node.token}\r\n\r\n".encode()
        )
        await reader.readuntil(b"retry: 2000\n\n")
        writers.append(writer)
    return writers


async def emit(node: NodeProcess) -> tuple[float, float]:
    """Emit events; return how many a second, and the node's CPU milliseconds of each."""
    headers = {"Authorization": f"Bearer {node.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def some() -> None:
            for _ in range(EVENTS // EMITTERS):
                event = {"type": "bench:other", "subject": "x"}
                async with session.post(f"{node.url}/api/v1/events", json=event) as answer:
                    assert answer.status == 201, await answer.text()

        began_s, spent_s = time.monotonic(), cpu_s(node)
        await asyncio.gather(*(some() for _ in range(EMITTERS)))
        took_s = time.monotonic() - began_s
        return EVENTS / took_s, 1_000 * (cpu_s(node) - spent_s) / EVENTS


async def measure(node: NodeProcess, count: int) -> None:
    """Measure without listeners, then with them."""
    rate, cost_ms = await emit(node)
    print(f"without listeners: {rate:,.0f} events/s, {cost_ms:.2f} ms of CPU each")
    before = memory_mib(node)
    writers = await listen(node, count)
    each_kib = (memory_mib(node) - before) * 1024 / count
    print(f"{count:,} listeners: {each_kib:.1f} KiB each, {memory_mib(node):.0f} MiB in all")
    spent_s = cpu_s(node)
    await asyncio.sleep(IDLE_S)
    print(f"idle: {100 * (cpu_s(node) - spent_s) / IDLE_S:.1f} % of a core")
    rate, cost_ms = await emit(node)
    print(f"with them: {rate:,.0f} events/s, {cost_ms:.2f} ms of CPU each")
    for writer in writers:
        writer.close()


def main() -> None:
    """Start a node of its own and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else LISTENERS
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as node:
        asyncio.run(measure(node, count))


if __name__ == "__main__":
    main()
