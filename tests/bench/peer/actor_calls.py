"""The caller of the actor benchmark, for JobD and for Ray: both have the same verbs.

Run: python -m tests.bench.peer.actor_calls jobd ADDRESS | ray. It runs in either's own virtual
environment, says "ready", and then answers each line `PATTERN SECONDS` with `calls seconds`.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Async", "Plain", "patterns"]

_PIPELINED = 1000
_COMMAND = {
    "id": "job-0001",
    "type": "command",
    "cmd": "pg_dump",
    "args": ["-h", "localhost", "mydb"],
    "env": {"PGPASSWORD": "secret"},
    "timeout_secs": 3600,
    "labels": {"team": "x", "tier": "gold"},
    "pad": "x" * 100,
}  # 300 bytes
_MIB = b"x" * (1 << 20)


class Plain:
    """Plain methods: in Ray a process, in JobD a thread of its own."""

    def ok(self, value: object = None) -> bytes:
        return b"ok"

    def length(self, value: bytes) -> int:
        return len(value)


class Async:
    """An async method."""

    async def ok(self, value: object = None) -> bytes:
        return b"ok"


def patterns(api: Any, plain: Any, waiting: Any) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return the patterns by name: how many calls one turn makes, and the turn."""

    def many(method: Any, *args: object) -> Callable[[], object]:
        return lambda: api.get([method.remote(*args) for _ in range(_PIPELINED)])

    return {
        "sync": (1, lambda: api.get(plain.ok.remote())),
        "pipelined": (_PIPELINED, many(plain.ok)),
        "pipelined-300B": (_PIPELINED, many(plain.ok, _COMMAND)),
        "async-sync": (1, lambda: api.get(waiting.ok.remote())),
        "async-pipelined": (_PIPELINED, many(waiting.ok)),
        "1MiB": (1, lambda: api.get(plain.length.remote(_MIB))),
    }


def _spawned(api: Any, cls: Any, count: int) -> tuple[float, float]:
    """Make actors and call each once; return (seconds, bytes of an actor that is idle then)."""
    before = _private_bytes()
    began = time.perf_counter()
    actors = [cls.remote() for _ in range(count)]
    api.get([actor.ok.remote() for actor in actors[-1000:]])
    took = time.perf_counter() - began
    api.get([actor.ok.remote() for actor in actors[:1000]])
    time.sleep(0.5)
    size = (_private_bytes() - before) / count
    for actor in actors:
        api.kill(actor)
    return took, size


def _private_bytes() -> int:
    """Return what this process and all below it have for themselves."""
    total = 0
    for pid in _tree(os.getpid()):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        kib = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")]
        total += 1024 * sum(kib)
    return total


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text()
        except OSError:
            continue
        for child in children.split():
            found += _tree(int(child))
    return found


def _start(who: str) -> tuple[Any, Any, Any, Callable[[type], Any]]:
    """Return (the API, a plain actor, an async one, what makes an actor class)."""
    if who == "jobd":
        api: Any = importlib.import_module("actors")
        api.connect(sys.argv[2])
        return api, api.get_actor("plain"), api.get_actor("async"), api.remote
    api = importlib.import_module("ray")
    api.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=200 << 20,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    free = api.remote(num_cpus=0)
    return api, free(Plain).remote(), free(Async).remote(), free


def main() -> None:
    """Answer until stdin ends."""
    api, plain, waiting, make = _start(sys.argv[1])
    turns = patterns(api, plain, waiting)
    for _, turn in turns.values():
        turn()
    print("ready", flush=True)
    for line in sys.stdin:
        name, amount = line.split()
        if name.startswith("spawn"):
            cls = make(Plain if name == "spawn-plain" else Async)
            took, size = _spawned(api, cls, int(amount))
            print(took, size, flush=True)
            continue
        calls, turn = turns[name]
        done, began, end = 0, time.perf_counter(), time.perf_counter() + float(amount)
        while time.perf_counter() < end:
            turn()
            done += calls
        print(done, time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
