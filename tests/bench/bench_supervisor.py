"""What a command job costs the job supervisor, beside a bare posix_spawn and wait loop.

Run: scripts/bench supervisor [KIND...] [--rounds N]. A real supervisor and the node's real client,
without the rest of a node. Rounds of all kinds alternate with the bare loop's; a ratio compares the
medians of one run. CPU is the supervisor's and its jobs'; the client's own is told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

from actors.backends.job_supervisor.client import SupervisorClient
from actors.core.supervisor_protocol import Ack, Exited, Launch, Start, SupervisorFrame
from tests.bench.bare_spawn import TRUE, bare_spawn
from tests.bench.processes import cpu_s
from tests.bench.report import Report
from tests.integration.supervisor.node import Node

KINDS: Final = {
    "true": Launch(argv=(TRUE,)),
    "echo": Launch(argv=("/usr/bin/echo", "hello")),
    "nofile": Launch(argv=(TRUE,), nofile=1024),
    "user": Launch(argv=(TRUE,), cwd="/", user="nobody"),
    "cgroup": Launch(argv=(TRUE,), memory_bytes=64 << 20),
}
GOALS: Final = {"true": 3.0, "echo": 3.0, "nofile": 6.0, "user": 6.0}
_AT_ONCE: Final = 8
_ROUND_S: Final = 60.0


class Cost(NamedTuple):
    """Seconds per job."""

    wall_s: float
    supervisor_s: float
    client_s: float


class Driver:
    """Keeps eight jobs going until a count of them has ended."""

    def __init__(self) -> None:
        self._last = 0
        self._left = 0
        self._running = 0
        self._launch = KINDS["true"]
        self._failure = ""
        self._done = asyncio.Event()
        self.client: SupervisorClient

    def take(self, frame: SupervisorFrame) -> None:
        """Acknowledge an end and start another."""
        if not isinstance(frame, Exited):
            return
        if (frame.exit.reason, frame.exit.code) != ("exit", 0):
            self._failure = f"the job failed: {frame.exit}"
            self._done.set()
            return
        self.client.send(Ack(frame.attempt))
        self._running -= 1
        if self._left:
            self._start()
        elif not self._running:
            self._done.set()

    def _start(self) -> None:
        self._last += 1
        self._left -= 1
        self._running += 1
        self.client.send(Start(f"attempt/b{self._last}/00000/0001", 1, self._launch))

    async def run(self, launch: Launch, count: int) -> None:
        """Run the count to its end."""
        self._launch, self._left = launch, count
        self._done.clear()
        for _ in range(min(_AT_ONCE, count)):
            self._start()
        async with asyncio.timeout(_ROUND_S):
            await self._done.wait()
        if self._failure:
            raise RuntimeError(self._failure)


async def measure(driver: Driver, pid: int, launch: Launch, count: int) -> Cost:
    """Return what each job of a round cost."""
    await driver.run(launch, _AT_ONCE)  # nothing of the kind before is left
    before, own_before, began = cpu_s([pid]), _own_cpu_s(), time.perf_counter()
    await driver.run(launch, count)
    wall_s, own_s = time.perf_counter() - began, _own_cpu_s() - own_before
    return Cost(wall_s / count, (cpu_s([pid]) - before) / count, own_s / count)


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def compare(report: Report, data: Path, kinds: list[str], rounds: int, count: int) -> None:
    """Measure the kinds in turns and add them to the report."""
    driver = Driver()
    node = Node(data)
    node.client = driver.client = SupervisorClient(data, "n1", 1, driver.take, lambda: None)
    await node.connect()
    bare: list[float] = []
    costs: defaultdict[str, list[Cost]] = defaultdict(list)
    try:
        for _ in range(rounds):
            bare.append(bare_spawn(count)[1] / count)
            for kind in kinds:
                costs[kind].append(await measure(driver, node.welcome.pid, KINDS[kind], count))
    finally:
        await node.end()
    floor_s = statistics.median(bare)
    report.add("bare posix_spawn + wait, CPU", floor_s * 1e6, "us/job")
    for kind in kinds:
        wall_s, spent_s, client_s = map(statistics.median, zip(*costs[kind], strict=True))
        report.add(f"{kind}: supervisor and job", spent_s / floor_s, "x", at_most=GOALS.get(kind))
        report.add(f"{kind}: client", client_s * 1e6, "us/job")
        report.add(f"{kind}: rate", 1 / wall_s, "jobs/s")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench supervisor", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="KIND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=300, help="of each kind, in each round")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        data.chmod(0o711)  # other users pass to what is theirs
        report = Report("supervisor", data)
        asyncio.run(compare(report, data, asked.kinds or [*KINDS], asked.rounds, asked.jobs))
        report.keep()


if __name__ == "__main__":
    main()
