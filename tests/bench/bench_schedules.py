"""How late a node with many schedules fires: `scripts/bench schedules [N] [SECONDS]`.

Each schedule fires once in ten minutes, at a second of its own (`H`), so that fires are spread as
names are; then as many as a second has room for fire in the same second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.bench.processes import cpu_s, rss_mib
from tests.bench.report import Report, percentile
from tests.integration.node_process import NodeProcess, running

SCHEDULES: Final = 10_000
SECONDS: Final = 60
BURST: Final = 50
CLIENTS: Final = 16
EVERY_TEN_MINUTES: Final = "H H/10 * * * *"


def spec(name: str, cron: str) -> dict[str, Any]:
    """Return a job that does next to nothing, again and again."""
    return {"name": name, "type": "command", "cmd": "/bin/true", "trigger": {"cron": cron}}


async def define(session: aiohttp.ClientSession, url: str, specs: list[dict[str, Any]]) -> None:
    """Put schedules."""
    numbers = count()

    async def some() -> None:
        while (i := next(numbers)) < len(specs):
            path = f"{url}/api/v1/schedules/{specs[i]['name']}"
            async with session.put(path, json=specs[i]) as answer:
                assert answer.status == 200, await answer.text()

    await asyncio.gather(*(some() for _ in range(CLIENTS)))


async def late_ms(
    session: aiohttp.ClientSession, node: NodeProcess, seconds: float, prefix: str
) -> list[float]:
    """Return how late each fire of the next seconds was durable and told, as its event says.

    An event is published once its transaction is durable and applied; its time here is when it
    has come over HTTP, on the same machine's clock.
    """
    found: list[float] = []

    async def listen() -> None:
        path = f"{node.url}/api/v1/events/stream?types=jobd:schedule:fired"
        async with session.get(path, timeout=aiohttp.ClientTimeout()) as answer:
            async for line in answer.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if event["subject"].startswith(f"schedule/{prefix}"):
                        nominal = event["data"]["nominal"].replace("Z", "+00:00")
                        due_s = aware(nominal)
                        found.append((time.time() - due_s) * 1000)

    task = asyncio.create_task(listen())
    await asyncio.sleep(seconds)
    task.cancel()
    return found


def aware(text: str) -> float:
    """Return the Unix seconds of a moment."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


async def measure(node: NodeProcess, report: Report, many: int, seconds: float) -> None:
    """Define them, leave the node alone, look at what it does."""
    headers = {"Authorization": f"Bearer {node.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        began = time.monotonic()
        await define(session, node.url, [spec(f"s{i}", EVERY_TEN_MINUTES) for i in range(many)])
        report.add("defined", many / (time.monotonic() - began), "schedules/s")
        await asyncio.sleep(2)
        spent_s, began = cpu_s([node.pid]), time.monotonic()
        late = await late_ms(session, node, seconds, "s")
        took_s = time.monotonic() - began
        report.add("fires", len(late) / took_s, "a second")
        report.add("late p50", percentile(late, 50), "ms")
        report.add("late p99", percentile(late, 99), "ms", at_most=100)
        report.add("late most", max(late), "ms")
        report.add("CPU, its jobs included", 100 * (cpu_s([node.pid]) - spent_s) / took_s, "%")
        report.add("memory", rss_mib(node.pid)[0], "MiB")
        await define(session, node.url, [spec(f"b{i}", "*/10 * * * * *") for i in range(BURST)])
        late = await late_ms(session, node, 21, "b")
        report.add(f"late p99, {BURST} in one second", percentile(late, 99), "ms")


def main() -> None:
    """Start a node of its own and measure."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else SCHEDULES
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        report = Report("schedules", Path(folder))
        with running(Path(folder) / "data") as node:
            asyncio.run(measure(node, report, many, seconds))
        report.keep()


if __name__ == "__main__":
    main()
