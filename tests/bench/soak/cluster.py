"""The soak of a cluster: three nodes, a fault every few seconds, everything checked each round.

A round has clients of its own. Behind it the cluster is whole again, and what the clients saw is
checked as in tests/cluster. The journal has a line for each round, so a run that was cut short
counts, and another one with the same journal goes on where it ended. Of a round that is not as it
should be the trace, the jobs' ledger and the nodes' logs and data are kept beside the journal, and
the next one has a new cluster.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tests.bench.processes import rss_mib
from tests.cluster.checks import check_all
from tests.cluster.clients import Clients
from tests.cluster.cluster import DEFAULTS, Cluster, running
from tests.cluster.disk import Forgetful
from tests.cluster.faults import Faults
from tests.cluster.trace import Trace

__all__ = ["judge_cluster", "soak_cluster"]

_ROUND_S = 60.0
_BETWEEN_S = (2.0, 8.0)
_FAULT_S = 12.0  # at most
_SETTLE_S = 2.0
_PACE = 0.4  # of the load of tests/cluster: it is to run beside other work


def soak_cluster(journal: Path, directory: Path, hours: float, about: dict[str, Any]) -> None:
    """Run rounds until the journal has as many hours as were asked for, or SIGINT comes."""
    done = [line for line in _read(journal) if line["kind"] == "round"]
    until = time.monotonic() + hours * 3600 - sum(line["took_s"] for line in done)
    number = max((line["number"] for line in done), default=0)
    stopping = _Stopping()
    with journal.open("a", encoding="utf-8") as file:
        _write(file, {**about, "hours": hours})
        while time.monotonic() < until and not stopping.told:
            with TemporaryDirectory(dir=directory) as place:
                number = _rounds(journal, file, Path(place), number, until, stopping)


def _rounds(
    journal: Path, file: IO[str], directory: Path, number: int, until: float, stopping: _Stopping
) -> int:
    """Run rounds on one cluster, to the end or to the first violation; return the last's number."""
    with ExitStack() as stack:
        disks = []
        for each in range(1, 4):
            disk = Forgetful(directory / f"backing{each}", directory / f"n{each}")
            stack.callback(disk.close)
            disks.append(disk)
        cluster = stack.enter_context(running([disk.mount for disk in disks], environment=DEFAULTS))
        violation = ""
        while time.monotonic() < until and not stopping.told and not violation:
            number += 1
            kept = journal.with_name(f"{journal.stem}-round-{number}")
            kept.mkdir(exist_ok=True)
            line = _round(cluster, disks, kept, number, stopping)
            violation = line["violation"]
            _write(file, line)
            if not violation:
                shutil.rmtree(kept)
        if violation:
            _keep(cluster, directory, kept)
    return number


def _keep(cluster: Cluster, directory: Path, kept: Path) -> None:
    """Stop the nodes and keep what they have: their logs and their data as it is on the disks."""
    for number, node in enumerate(cluster.nodes, 1):
        node.lose_power()
        shutil.copyfile(directory / f"n{number}.log", kept / f"n{number}.log")
        sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(directory / f"backing{number}", kept / f"data{number}", ignore=sockets)


class _Stopping:
    """SIGINT and SIGTERM end the run behind the round."""

    def __init__(self) -> None:
        self.told = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._tell)

    def _tell(self, *_: object) -> None:
        self.told = True


def _round(
    cluster: Cluster, disks: list[Forgetful], kept: Path, number: int, stopping: _Stopping
) -> dict[str, Any]:
    began = time.monotonic()
    ledger, trace = kept / "ledger", Trace(kept / "trace.jsonl")
    clients = Clients(cluster, trace, ledger, number, _PACE).start()
    faults, rng = Faults(cluster, trace, number, disks), random.Random(number)
    violation = ""
    try:
        while time.monotonic() - began < _ROUND_S and not stopping.told:
            time.sleep(rng.uniform(*_BETWEEN_S))
            faults.any(_FAULT_S)
        cluster.recover()
        time.sleep(_SETTLE_S)
        clients.stop()
        check_all(cluster, trace, ledger)
    except Exception:
        violation = traceback.format_exc(limit=-6)
        with suppress(AssertionError):  # of theirs is told already what there is to tell
            clients.stop()
    trace.close()
    return {
        "kind": "round",
        "number": number,
        "took_s": round(time.monotonic() - began, 1),
        "operations": len(trace.operations),
        "jobs": len(trace.jobs),
        "counts": dict(trace.counts),
        "rss_mib": [round(rss_mib(node.pid)[0], 1) for node in cluster.nodes if node.runs],
        "fds": [_descriptors(node.pid) for node in cluster.nodes if node.runs],
        "violation": violation,
    }


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _write(file: IO[str], line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def _read(journal: Path) -> list[dict[str, Any]]:
    if not journal.exists():
        return []
    lines = journal.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def judge_cluster(journal: Path) -> tuple[list[str], bool]:
    """Return what there is to say of a journal, and whether it is all as it should be."""
    rounds = [line for line in _read(journal) if line["kind"] == "round"]
    if not rounds:
        return ["no round was finished"], False
    counts: Counter[str] = Counter()
    for line in rounds:
        counts.update(line["counts"])
    hours = sum(line["took_s"] for line in rounds) / 3600
    operations, jobs = (sum(line[name] for line in rounds) for name in ("operations", "jobs"))
    broken = [line for line in rounds if line["violation"]]
    told = [f"{len(rounds)} rounds, {hours:.2f} h, {operations} operations, {jobs} jobs"]
    told += [f"{name}: {count}" for name, count in sorted(counts.items())]
    first, last = rounds[0], rounds[-1]
    told.append(f"resident, MiB: {first['rss_mib']} at first, {last['rss_mib']} at last")
    told.append(f"descriptors: {first['fds']} at first, {last['fds']} at last")
    told += [f"VIOLATION in round {line['number']}:\n{line['violation']}" for line in broken]
    told.append(
        "as it should be" if not broken else f"{len(broken)} rounds were not as they should be"
    )
    return told, not broken
