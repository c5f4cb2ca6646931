"""Durable commits of the log beside SQLite FULL on the same disk, and the images' write rates.

Run: python -m tests.bench.bench_store_disk [directory] [seconds per figure]. Rounds of the engines
are interleaved, since a shared disk's fsync moves by 10x within minutes: trust the ratios.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actors.backends.segment_log import SegmentLog
from actors.backends.state_memory import MemoryStateStore
from actors.backends.state_rocksdb import RocksdbStateStore
from actors.backends.state_sqlite import SqliteStateStore
from actors.core.ports import LogEntry, Row, StateStore

PAYLOAD = os.urandom(200)
ROUNDS = 3
Commit = Callable[[int], None]


def log_commit(directory: Path) -> Commit:
    log = SegmentLog.open(directory / "log")

    def commit(batch: int) -> None:
        first = log.last_index + 1
        log.append([LogEntry(first + i, 1, PAYLOAD) for i in range(batch)])

    return commit


def sqlite_commit(directory: Path) -> Commit:
    """Append to a table by rowid, its friendliest case."""
    connection = sqlite3.connect(directory / "full.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, payload BLOB)")

    def commit(batch: int) -> None:
        values = ",".join(["(?)"] * batch)
        connection.execute(f"INSERT INTO log (payload) VALUES {values}", [PAYLOAD] * batch)

    return commit


def sqlite_kv_commit(directory: Path) -> Commit:
    """What a store without a log of its own would do: upserts under random keys."""
    connection = sqlite3.connect(directory / "kv.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB)")

    def commit(batch: int) -> None:
        values = ",".join(["(?,?)"] * batch)
        row = [item for _ in range(batch) for item in (os.urandom(20), PAYLOAD)]
        connection.execute(f"REPLACE INTO kv VALUES {values}", row)

    return commit


def bare_commit(directory: Path) -> Commit:
    """The floor: overwrite zeros of a preallocated file, fdatasync, nothing else."""
    size = 64 << 20
    fd = os.open(directory / "bare", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(size), 0)
    os.fsync(fd)
    at = 0

    def commit(batch: int) -> None:
        nonlocal at
        at = at + os.pwrite(fd, PAYLOAD * batch, at) if at < size - (1 << 20) else 0
        os.fdatasync(fd)

    return commit


def measure(commit: Commit, batch: int, seconds: float) -> tuple[float, list[float]]:
    """Return entries per second and each commit's time in microseconds."""
    times: list[float] = []
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        commit(batch)
        times.append((time.perf_counter() - now) * 1e6)
    return len(times) * batch / (time.perf_counter() - began), times


def durable(directory: Path, seconds: float) -> dict[str, dict[str, float]]:
    engines = {
        "log": log_commit(directory),
        "sqlite full": sqlite_commit(directory),
        "sqlite full kv": sqlite_kv_commit(directory),
        "bare file": bare_commit(directory),
    }
    found: dict[str, dict[str, float]] = {}
    for batch in (1, 32, 256):
        rates: dict[str, list[float]] = {name: [] for name in engines}
        times: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(ROUNDS):
            for name, commit in engines.items():
                rate, each = measure(commit, batch, seconds)
                rates[name].append(rate)
                times[name] += each
        row = {name: statistics.median(rate) for name, rate in rates.items()}
        for name in engines:
            row[f"{name} p50 us"] = statistics.median(times[name])
            row[f"{name} p99 us"] = statistics.quantiles(times[name], n=100)[98]
        row["log / sqlite full"] = row["log"] / row["sqlite full"]
        row["log / sqlite full kv"] = row["log"] / row["sqlite full kv"]
        row["log / bare file"] = row["log"] / row["bare file"]
        found[f"durable, {batch} a commit, entries/s"] = row
    return found


def images(directory: Path, seconds: float) -> dict[str, float]:
    stores: dict[str, StateStore] = {
        "sqlite": SqliteStateStore.open(directory / "image.sqlite"),
        "rocksdb": RocksdbStateStore.open(directory / "image.rocksdb"),
        "memory": MemoryStateStore.open(),
    }
    rates: dict[str, float] = {}
    for name, store in stores.items():
        at = 0

        def commit(batch: int, store: StateStore = store) -> None:
            nonlocal at
            at += 1
            rows = [Row(f"job/{(at * 7919 + i) % 50_000:08d}", at, PAYLOAD) for i in range(batch)]
            store.write(rows, applied_index=at, revision=at, sessions=b"", position=b"")

        rates[f"{name} rows/s, 256 a batch"], _ = measure(commit, 256, seconds)
        began, count = time.perf_counter(), sum(1 for _ in store.load().rows)
        rates[f"{name} load rows/s"] = count / (time.perf_counter() - began)
        began = time.perf_counter()
        store.flush()
        rates[f"{name} flush ms"] = (time.perf_counter() - began) * 1e3
        store.close()
    return rates


def replay(directory: Path) -> dict[str, float]:
    """Open and replay what the durable rounds left."""
    began = time.perf_counter()
    log = SegmentLog.open(directory / "log")
    opened = time.perf_counter()
    count = sum(1 for _ in log.replay(0))
    return {
        "log segments": len(log.segments),
        "open ms": (opened - began) * 1e3,
        "replay entries/s": count / (time.perf_counter() - opened),
    }


def main() -> None:
    """Print a table of every figure as JSON."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.7
    with tempfile.TemporaryDirectory(dir=where) as name:
        directory = Path(name)
        found = {**durable(directory, seconds), "images": images(directory, seconds)}
        found["replay"] = replay(directory)
    rounded = {k: {n: round(v, 2) for n, v in row.items()} for k, row in found.items()}
    sys.stdout.write(json.dumps(rounded, indent=2) + "\n")


if __name__ == "__main__":
    main()
