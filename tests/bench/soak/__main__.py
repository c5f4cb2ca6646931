"""Soak a node: jobs at a steady rate for a long time, or none at all, and what it holds meanwhile.

    scripts/soak --minutes M --rate R [--data DIR] [--out FILE]
    scripts/soak --idle --minutes M
    scripts/soak --cluster --hours H
    scripts/soak [--cluster] --report FILE

With --cluster three nodes are broken every few seconds, see cluster.py; --out names a journal that
is gone on with. Otherwise every ten seconds a line of JSON goes to the file, so a run that is cut
short still counts. SIGINT or SIGTERM ends the submitting; what is open is waited for. The exit
status says whether every job ended once, as expected, and whether memory, descriptors and threads
stayed within 5 % since minute 10 (an idle node: since minute 2).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from tests.bench.report import filesystem_of, percentile
from tests.bench.soak.cluster import judge_cluster, soak_cluster
from tests.bench.soak.load import Load
from tests.bench.soak.sampler import Sampler
from tests.bench.soak.verdict import judge, read
from tests.integration.node_process import NodeProcess, running

_ROOT = Path(__file__).parents[3]
_SAMPLE_S = 10.0
_DISK_EACH = 6  # samples: walking the data directory costs more than the rest


class _Soak:
    """One run: the node, its load if any, and the file of samples."""

    def __init__(self, node: NodeProcess, file: IO[str], minutes: float, load: Load | None) -> None:
        found = json.loads((node.data / "run" / "node.json").read_text())
        # An idle node is not even asked for its metrics.
        self._sampler = Sampler(node, found["metrics"] if load is not None else None)
        self._file = file
        self._minutes = minutes
        self._load = load
        self._stop = asyncio.Event()
        self._began = time.monotonic()
        self._taken = 0

    async def run(self) -> None:
        """Submit and sample for the time that was asked for."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        loop.call_later(self._minutes * 60, self._stop.set)
        submitting = asyncio.create_task(self._load.run(self._stop)) if self._load else None
        self._began = time.monotonic()
        while not self._stop.is_set():
            await self._sample()
            due = self._began + self._taken * _SAMPLE_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), max(0.0, due - time.monotonic()))
            if submitting is not None and submitting.done():
                break  # it failed: its error is raised below
        if submitting is not None:
            await submitting
        await self._sample()
        if self._load is not None:
            self._write("end", first_faults=self._load.first_faults, **self._counted())

    async def _sample(self) -> None:
        self._taken += 1
        with_disk = self._taken % _DISK_EACH == 1
        try:
            line = await asyncio.to_thread(self._read, with_disk)
        except (OSError, KeyError) as error:  # KeyError: /proc of a process that is dead
            self._write("lost", error=repr(error))
            self._stop.set()
            return
        if self._load is not None:
            line |= self._counted()
            line["open"] = self._load.open
            line["submit_ms"] = _quantiles(self._load.submit_s)
            line["success_ms"] = _quantiles(self._load.success_s)
        self._write("sample", **line)

    def _read(self, with_disk: bool) -> dict[str, Any]:
        line: dict[str, Any] = {"processes": self._sampler.processes(), **self._sampler.gauges()}
        line["soak_cpu_s"] = round(time.process_time(), 1)
        line["load"] = os.getloadavg()[0]
        if with_disk:
            line["disk_mib"] = self._sampler.disk_mib()
        return line

    def _counted(self) -> dict[str, Any]:
        assert self._load is not None
        return {"counts": dict(self._load.counts), "faults": dict(self._load.faults)}

    def _write(self, kind: str, **line: Any) -> None:
        at_s = round(time.monotonic() - self._began, 1)
        self._file.write(json.dumps({"kind": kind, "at_s": at_s, **line}) + "\n")
        self._file.flush()


def _quantiles(seconds: deque[float]) -> dict[str, float] | None:
    """Take what was measured since the last sample."""
    values = list(seconds)
    seconds.clear()
    if len(values) < 2:
        return None
    p50, p99 = (round(percentile(values, q) * 1e3, 2) for q in (50, 99))
    return {"p50": p50, "p99": p99, "most": round(max(values) * 1e3, 2)}


def _about(asked: argparse.Namespace, data: Path) -> dict[str, Any]:
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=_ROOT, capture_output=True, text=True)
    return {
        "kind": "about",
        "idle": asked.idle,
        "rate": asked.rate,
        "minutes": asked.minutes,
        "slots": asked.slots,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "commit": commit.stdout.strip(),
        "cores": len(os.sched_getaffinity(0)),
        "disk": filesystem_of(data),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def _run(asked: argparse.Namespace, out: Path) -> None:
    with ExitStack() as stack:
        parent = asked.data or stack.enter_context(tempfile.TemporaryDirectory())
        data = Path(parent).absolute() / "node"
        data.parent.mkdir(parents=True, exist_ok=True)
        slots = () if asked.idle else ("--slots", str(asked.slots))
        node = stack.enter_context(running(data, *slots))
        file = stack.enter_context(out.open("w", encoding="utf-8"))
        file.write(json.dumps(_about(asked, data)) + "\n")
        file.flush()

        async def soak() -> None:
            load = None if asked.idle else Load(node.url, node.token, asked.rate)
            await _Soak(node, file, asked.minutes, load).run()

        asyncio.run(soak())
        node.stop()


def _run_cluster(asked: argparse.Namespace, out: Path) -> None:
    place = asked.data or Path(tempfile.gettempdir())
    soak_cluster(out, place, asked.hours, _about(asked, place))


def main() -> int:
    """Run, then judge what was found; or judge an earlier run."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=50.0, help="jobs a second")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--cluster", action="store_true", help="three nodes under faults")
    parser.add_argument("--hours", type=float, default=2.0, help="of --cluster")
    parser.add_argument("--idle", action="store_true", help="submit nothing")
    parser.add_argument("--data", type=Path, help="where the node's data lies, kept afterwards")
    parser.add_argument("--out", type=Path, help="by default in bench-results/")
    parser.add_argument("--report", type=Path, metavar="FILE", help="judge an earlier run")
    asked = parser.parse_args()
    out = asked.report
    if out is None:
        kind = "cluster" if asked.cluster else "idle" if asked.idle else "soak"
        name = f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
        out = asked.out or _ROOT / "bench-results" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        print(f"samples go to {out}", flush=True)
        (_run_cluster if asked.cluster else _run)(asked, out)
    told, fine = judge_cluster(out) if asked.cluster else judge(read(out))
    print("\n".join(told))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
