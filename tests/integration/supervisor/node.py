"""A node as the job supervisor sees it: a real client, a real supervisor process, real jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from actors.backends.job_logs import JobLogs
from actors.backends.job_supervisor.client import SupervisorClient
from actors.core.log_record import LogRecord
from actors.core.supervisor_protocol import (
    Exited,
    ExitRecord,
    Held,
    Launch,
    ListHeld,
    Listing,
    Start,
    Started,
    SupervisorFrame,
    Welcome,
)

__all__ = [
    "WAIT_S",
    "Node",
    "attempt",
    "is_alive",
    "records_of",
    "run",
    "shell",
    "spooled",
    "text_of",
    "wait_gone",
]

WAIT_S = 15.0
# A supervisor ends whatever on the machine carries the mark of an attempt that its data directory
# has lost. Real ids are unique; those of tests are by their process, which its children inherit.
_RUN = os.environ.setdefault("JOBD_TEST_RUN", str(os.getpid()))
F = TypeVar("F", bound=SupervisorFrame)


def attempt(name: str) -> str:
    return f"attempt/{name}-{_RUN}/00000/0001"


def spooled(name: str) -> str:
    """The directory of an attempt's spool, its control group too."""
    return f"{name}-{_RUN}.00000.0001"


def shell(script: str, **fields: Any) -> Launch:
    return Launch(argv=("/bin/sh", "-c", script), **fields)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_gone(pid: int, within_s: float = WAIT_S) -> None:
    until = time.monotonic() + within_s
    while is_alive(pid):
        assert time.monotonic() < until, f"{pid} lives on"
        time.sleep(0.01)


class Node:
    """One node process's connection. `end` kills its supervisor too."""

    def __init__(self, data: Path, incarnation: int = 1) -> None:
        self.data = data
        self.frames: list[SupervisorFrame] = []
        self.lost = False
        self.welcome: Welcome
        self._more = asyncio.Event()
        self.client = SupervisorClient(data, "n1", incarnation, self._take, self._lose)

    async def connect(self) -> Node:
        self.welcome = await self.client.connect()
        return self

    async def end(self) -> None:
        await self.client.close()
        os.kill(self.welcome.pid, signal.SIGKILL)
        wait_gone(self.welcome.pid)

    def _take(self, frame: SupervisorFrame) -> None:
        self.frames.append(frame)
        self._more.set()

    def _lose(self) -> None:
        self.lost = True
        self._more.set()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until the condition holds of what came; return its value."""
        async with asyncio.timeout(WAIT_S):
            while not (value := condition()):
                self._more.clear()
                await self._more.wait()
        return value

    def of(self, kind: type[F], name: str) -> F | None:
        """The first frame of a kind about an attempt."""
        wanted = attempt(name)
        for frame in self.frames:
            if isinstance(frame, kind) and getattr(frame, "attempt", None) == wanted:
                return frame
        return None

    async def start(self, launch: Launch, name: str = "j") -> int:
        """Start a job; return its pid."""
        self.client.send(Start(attempt(name), 1, launch))
        started: Started = await self.until(lambda: self.of(Started, name))
        return started.pid

    async def ended(self, name: str = "j") -> ExitRecord:
        exited: Exited = await self.until(lambda: self.of(Exited, name))
        return exited.exit

    async def run(self, launch: Launch, name: str = "j") -> ExitRecord:
        self.client.send(Start(attempt(name), 1, launch))
        return await self.ended(name)

    async def held(self) -> dict[str, Held]:
        self.frames = [frame for frame in self.frames if not isinstance(frame, Listing)]
        self.client.send(ListHeld())
        listing = await self.until(
            lambda: next((f for f in self.frames if isinstance(f, Listing)), None)
        )
        return {held.attempt: held for held in listing.held}


def records_of(data: Path, name: str = "j", stream: int | None = None) -> list[LogRecord]:
    """All records of a job's log, page by page, which must be whole."""
    logs = JobLogs(data)
    records: list[LogRecord] = []
    seq, end = 0, False
    try:
        while not end:
            page = logs.read(attempt(name), seq, limit=100_000, stream=stream)
            assert page.gaps == []
            assert page.end or page.next_seq > seq
            records += page.records
            seq, end = page.next_seq, page.end
    finally:
        logs.close()
    return records


def text_of(data: Path, name: str = "j", stream: int | None = None) -> bytes:
    """All that a job's log holds, which must be whole."""
    return b"".join(record.data for record in records_of(data, name, stream))


def run(scenario: Callable[[Node], Coroutine[Any, Any, None]], data: Path) -> None:
    """Run a scenario with a node of its own; its supervisor is ended behind it."""

    async def play() -> None:
        node = await Node(data).connect()
        try:
            await scenario(node)
        finally:
            await node.end()

    asyncio.run(play())
