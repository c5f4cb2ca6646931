"""Classes as a user writes them. (mypy knows no class decorators: see actor_classes.)"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

__all__ = ["GATES", "Counter", "Flaky", "Gate", "Sleeper", "Unlike"]

GATES: dict[str, threading.Event] = {}


class Unlike(Exception):
    """An exception of the user's own."""


class Counter:
    """A class of plain methods."""

    kind = "counter"

    def __init__(self, start: int = 0) -> None:
        if start < 0:
            raise ValueError(f"{start} is below zero")
        self.n = start

    def add(self, k: int = 1) -> int:
        self.n += k
        return self.n

    def thread(self) -> int:
        return threading.get_ident()

    def fail(self, why: str) -> None:
        raise Unlike(why, 7)

    def lookup(self, key: str) -> int:
        return {"a": 1}[key]

    def crash(self) -> None:
        raise SystemExit("crash")

    def below(self, n: int) -> Iterator[int]:
        yield from range(n)

    def break_at(self, n: int) -> Iterator[int]:
        yield from range(n)
        raise Unlike("broken")

    def _hidden(self) -> int:
        return self.n

    @property
    def shown(self) -> int:
        return self.n


class Gate:
    """Blocks in its thread until the gate of a name is open."""

    def __init__(self) -> None:
        self.passed = 0

    def wait(self, name: str) -> int:
        assert GATES.setdefault(name, threading.Event()).wait(10)
        self.passed += 1
        return self.passed

    def now(self) -> int:
        return self.passed


class Sleeper:
    """A class with async methods."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.closed = 0

    async def nap(self, seconds: float, value: object = None) -> object:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.inside -= 1
        return value

    def busiest(self) -> int:
        return self.most

    async def crash(self) -> None:
        raise SystemExit("crash")

    async def below(self, n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                yield i
        finally:
            self.closed += 1

    async def ended(self) -> int:
        return self.closed


class Flaky:
    """Crashes until it has been run so often."""

    runs = 0

    def crash_until(self, run: int) -> int:
        Flaky.runs += 1
        if Flaky.runs < run:
            raise SystemExit(Flaky.runs)
        return Flaky.runs
