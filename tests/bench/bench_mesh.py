"""What messages cost between two nodes, and between a client and a node, each process its own.

Run: `scripts/bench mesh [SECONDS]`. For each size: the p50 of a tell that is answered by a tell,
one under way, and messages per second with WINDOW under way.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

import msgspec
import uvloop

from actors.runtime import Context, Effects, LoopActor, LoopHost, Principal, Tell, handles
from actors.runtime.link import Link
from actors.runtime.mesh import Mesh
from actors.runtime.vocabulary import Vocabulary

_SIZES = (300, 4_096, 65_536, 1024 * 1024)
_WINDOW = 256
_WINDOW_BYTES = 8 * 1024 * 1024


class Packet(msgspec.Struct, frozen=True):
    """Some bytes; `number` tells them apart."""

    number: int
    body: bytes


class Mirror(LoopActor):
    """Tells a packet back to its sender."""

    @handles(Packet)
    def back(self, message: Packet, context: Context) -> Effects:
        return [Tell(context.sender or "", message)]


class Driver(LoopActor):
    """Keeps some packets under way, and notes when each is back."""

    def __init__(self, to: str, size: int, window: int, until_s: float) -> None:
        self.to, self.body, self.window, self.until_s = to, bytes(size), window, until_s
        self.took_s: list[float] = []
        self.done = asyncio.Event()
        self._sent: dict[int, float] = {}
        self._number = 0

    def on_start(self) -> Effects:
        return [self._next() for _ in range(self.window)]

    def _next(self) -> Tell:
        self._number += 1
        self._sent[self._number] = time.perf_counter()
        return Tell(self.to, Packet(self._number, self.body))

    @handles(Packet)
    def back(self, message: Packet, context: Context) -> Effects:
        now = time.perf_counter()
        self.took_s.append(now - self._sent.pop(message.number))
        if now > self.until_s:
            self.done.set()
            return None
        return [self._next()]


def _spawn(host: LoopHost, driver: Driver, address: str) -> None:
    host.spawn(lambda: driver, address)


def _vocabulary() -> Vocabulary:
    made = Vocabulary([Packet])
    made.expose(Packet, "run")
    return made


def _node(host: LoopHost, name: str) -> tuple[Link, Mesh]:
    link = Link(
        host,
        "tcp://127.0.0.1:*",
        node=name,
        incarnation=1,
        vocabulary=_vocabulary(),
        admit=lambda hello: Principal("bench", frozenset({"run"})),
    )
    return link, Mesh(link, cluster="c")


async def serve() -> None:
    """Be the other node; print where it listens."""
    host = LoopHost()
    host.spawn(Mirror, "/mirror")
    link, _ = _node(host, "n1")
    sys.stdout.write(f"{link.endpoint}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def measure(seconds: float) -> None:
    """Print a line for each way and size."""
    other = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_mesh", "node"], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    endpoint = other.stdout.readline().decode().strip()
    for way in ("client", "node"):
        host = LoopHost()
        if way == "client":
            link = Link(
                host, endpoint, node="caller", incarnation=1, vocabulary=_vocabulary(), token=""
            )
            await link.ready
        else:
            link, mesh = _node(host, "caller-node")
            mesh.connect("n1", endpoint.removeprefix("tcp://"))
            while not mesh.linked():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        for size in _SIZES:
            figures = []
            for window in (1, max(2, min(_WINDOW, _WINDOW_BYTES // size))):
                address = f"jobd://{link.node}/driver-{size}-{window}"
                began = time.perf_counter()
                driver = Driver("jobd://n1/mirror", size, window, began + seconds)
                _spawn(host, driver, address)
                await driver.done.wait()
                took = time.perf_counter() - began
                figures.append(
                    f"{len(driver.took_s) / took:9,.0f} /s  "
                    f"p50 {statistics.median(driver.took_s) * 1e6:8,.0f} µs"
                )
            sys.stdout.write(f"{way:7} {size:9,} B  one {figures[0]}   many {figures[1]}\n")
        link.close()
        await host.shutdown()
    other.kill()
    other.wait()
    other.stdout.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["node"]:
        uvloop.run(serve())
    else:
        uvloop.run(measure(float(sys.argv[1]) if sys.argv[1:] else 2.0))
