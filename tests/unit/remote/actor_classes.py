"""Actor classes that the tests share, and what they wait for."""

from __future__ import annotations

import threading
import time
from typing import cast

import actors
from actors.runtime.cell import ActorRow
from actors.runtime.remote.process import Process
from tests.unit.remote import plain

__all__ = ["Counter", "Flaky", "Gate", "Sleeper", "open_gate", "row_of", "until_it_runs"]

Counter = actors.remote(plain.Counter)
Flaky = actors.remote(plain.Flaky)
Gate = actors.remote(plain.Gate)
Sleeper = actors.remote(plain.Sleeper)


def row_of(handle: actors.ActorHandle) -> ActorRow:
    """Return what an operator sees of an actor of this process."""
    host = cast(Process, handle._caller).host
    return host.on_host(lambda: host.cells[handle._address].row())


def until_it_runs(handle: actors.ActorHandle, waiting: int = 0) -> None:
    """Wait until an actor has begun all calls that it got but for so many."""
    end = time.monotonic() + 5
    while (seen := row_of(handle)).mailbox != waiting or not seen.handled:
        assert time.monotonic() < end, seen
        time.sleep(0.001)


def open_gate(name: str) -> None:
    """Let what waits at a gate go on."""
    plain.GATES.setdefault(name, threading.Event()).set()
