"""Durable transactions per second of the store on one node, beside SQLite FULL on the same disk.

Run: scripts/bench store [--rounds N] [--dir DIR]. The store is the node's own: replica, group, log
writer, image writer and event bus on a LoopHost, with SQLite as the image; an actor submits
transactions of one 200 B value, so many at once. What the disk itself gives is in `store_disk`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvloop

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.backends.state_sqlite import SqliteStateStore
from actors.consensus_replica import ConsensusReplica, SubmitTxn
from actors.core.consensus.chain import alone
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn, absent
from actors.event_bus import EventBus
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model import keys
from actors.model.codec import encode
from actors.runtime import Answered, Ask, Context, Effect, LoopActor, LoopHost, handles
from actors.runtime.cell import AnyActor
from tests.bench.bench_store_disk import PAYLOAD, bare_commit, sqlite_commit, sqlite_kv_commit
from tests.bench.bench_store_disk import measure as measure_disk
from tests.bench.report import Report

_VALUE = encode(PAYLOAD)
_SECONDS = 1.0
_AT_ONCE = (1, 32, 256)
_BATCHES = (1, 32)


class Submitter(LoopActor):
    """Keeps `at_once` transactions under way for a time, each of a new key."""

    def __init__(self, round_number: int, at_once: int, seconds: float) -> None:
        super().__init__()
        self._prefix = f"{round_number:03d}."
        self._at_once = at_once
        self._until = time.perf_counter() + seconds
        self._begun = 0
        self.committed = 0
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_start(self) -> Iterator[Effect]:
        for _ in range(self._at_once):
            yield self._next()

    def _next(self) -> Effect:
        self._begun += 1
        key = keys.kv("bench", f"{self._prefix}{self._begun:08d}")
        txn = Txn((absent(key),), ((key, _VALUE),), now_ms=self.clock.now_ms())
        return Ask(addresses.REPLICA, SubmitTxn(txn), None, 60.0)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        assert isinstance(message.value, Committed), message.value
        self.committed += 1
        now = time.perf_counter()
        if now < self._until:
            yield self._next()
        elif self.committed == self._begun:
            self.done.set_result(now)


class Store:
    """The actors of a node's store over a directory."""

    def __init__(self, directory: Path) -> None:
        self.host = LoopHost()
        self._rounds = 0
        log = SegmentLog.open(directory / "log")
        image = SqliteStateStore.open(directory / "state.sqlite")
        events = EventSegments.open(directory / "events")
        replica = ConsensusReplica(
            alone("bench"), State(), node="bench", backlog=ImageBacklog({}, [])
        )
        actors: dict[str, AnyActor] = {
            addresses.LOG: LogWriter(log, fatal=_fail, observe_fsync=lambda seconds: None),
            addresses.IMAGE: ImageWriter(image, events, applied_index=0, fatal=_fail),
            addresses.EVENT_BUS: EventBus(0, [], observe=lambda event: None),
            addresses.REPLICA: replica,
        }
        for address in actors:
            self.host.spawn(partial(actors.__getitem__, address), address)

    async def open_session(self) -> None:
        """Before it, nothing is ordered."""
        key = keys.session("bench")
        txn = Txn((absent(key),), ((key, encode(1)),))
        await self.host.ask(addresses.REPLICA, SubmitTxn(txn, opens_session=True))

    async def rate(self, at_once: int, seconds: float) -> float:
        """Return committed transactions per second."""
        self._rounds += 1
        began = time.perf_counter()
        submitter = Submitter(self._rounds, at_once, seconds)
        self.host.spawn(lambda: submitter, "/submitter")
        took_s = await submitter.done - began
        await self.host.stop("/submitter")
        return submitter.committed / took_s


def _fail(error: Exception) -> None:
    raise error


async def measure(report: Report, directory: Path, rounds: int) -> None:
    """Alternate the store at each number under way with SQLite at each size of batch."""
    store = Store(directory)
    await store.open_session()
    commits = {
        "SQLite FULL, rows appended": sqlite_commit(directory),
        "SQLite FULL, keys put": sqlite_kv_commit(directory),
        "bare file": bare_commit(directory),
    }
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for at_once in _AT_ONCE:
            rates.setdefault(("store", at_once), []).append(await store.rate(at_once, _SECONDS))
        for name, commit in commits.items():
            for batch in _BATCHES:
                rate, _ = measure_disk(commit, batch, _SECONDS / 2)  # nothing else is under way
                rates.setdefault((name, batch), []).append(rate)
    await store.host.shutdown()
    _report(report, {key: statistics.median(found) for key, found in rates.items()})


def _report(report: Report, found: dict[tuple[str, int], float]) -> None:
    for (name, count), rate in found.items():
        how = "under way" if name == "store" else "a commit"
        goal = 20_000.0 if (name, count) == ("store", 256) else None
        report.add(f"{name}, {count} {how}", rate, "txn/s", at_least=goal)
    for name, goal in (("SQLite FULL, rows appended", None), ("SQLite FULL, keys put", 3.0)):
        report.add(f"store, 1 under way / {name}, 1", found["store", 1] / found[name, 1], "x")
        ratio = found["store", 256] / found[name, 32]
        report.add(f"store, 256 under way / {name}, 32", ratio, "x", at_least=goal)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="scripts/bench store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where the data lies; its disk is what is measured")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        report = Report("store", Path(name))
        uvloop.run(measure(report, Path(name), asked.rounds))
        report.keep()


if __name__ == "__main__":
    main()
