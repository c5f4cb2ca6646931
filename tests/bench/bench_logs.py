"""A job that writes 20 MB/s for ten seconds on a real node, with a live reader over HTTP.

Run: scripts/bench logs [--mb-per-s N] [--seconds N]. Says whether every byte arrived, whether the
job kept its rate (its pipe is the only brake), how far behind the reader was at the job's end, and
the resident memory at its highest of node and job supervisor.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.processes import cpu_s, rss_mib
from tests.bench.report import Report
from tests.integration.node.test_doors import stream
from tests.integration.node_process import NodeProcess, running

_LINE_BYTES: Final = 1000
_LINES_PER_WRITE: Final = 20
# Arguments: writes in all, writes per second. The last line on stderr: seconds it took.
_WRITER: Final = f"""
import os, sys, time
count, per_s = int(sys.argv[1]), float(sys.argv[2])
line = b"%0{_LINE_BYTES - 1}d\\n"
began = time.monotonic()
for i in range(0, count):
    block = b"".join(line % (i * {_LINES_PER_WRITE} + n) for n in range({_LINES_PER_WRITE}))
    while block:
        block = block[os.write(1, block):]
    time.sleep(max(0.0, began + (i + 1) / per_s - time.monotonic()))
os.write(2, b"%f\\n" % (time.monotonic() - began))
"""


def measure(report: Report, node: NodeProcess, mb_per_s: float, seconds: float) -> None:
    """Write, read live, compare."""
    writes_per_s = mb_per_s * 1e6 / (_LINE_BYTES * _LINES_PER_WRITE)
    writes = round(writes_per_s * seconds)
    args = ["-S", "-c", _WRITER, str(writes), str(writes_per_s)]
    job_id = node.submit(cmd=sys.executable, args=args)
    got, wrote_s, began = hashlib.sha256(), 0.0, time.perf_counter()
    with stream(node, f"/jobs/{job_id}/logs/stream") as frames:
        for frame in frames:
            if frame["event"] == "end":
                break
            data = frame["data"]
            if data["stream"] == "stderr":
                wrote_s = float(data["text"])
            else:
                got.update(data["text"].encode())
    read_s = time.perf_counter() - began
    supervisor = node.supervisor_pid()
    assert supervisor is not None, "it has run jobs"
    wanted = hashlib.sha256()
    for n in range(writes * _LINES_PER_WRITE):
        wanted.update(b"%0*d\n" % (_LINE_BYTES - 1, n))
    job = node.job(job_id)
    assert job["state"] == "succeeded", job
    report.add("every byte arrived in order", got.digest() == wanted.digest(), at_least=1)
    report.add("the job's own rate", mb_per_s * seconds / wrote_s, "MB/s", at_least=0.98 * mb_per_s)
    report.add("reader behind at the job's end", read_s - wrote_s, "s")
    for name, pid in (("node", node.pid), ("job supervisor", supervisor)):
        report.add(f"{name}: resident memory, highest", rss_mib(pid)[1], "MiB")
        report.add(f"{name}: CPU", cpu_s([pid]), "s")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench logs", description=__doc__)
    parser.add_argument("--mb-per-s", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        report = Report("logs", data)
        with running(data / "node") as node:
            measure(report, node, asked.mb_per_s, asked.seconds)
        report.keep()


if __name__ == "__main__":
    main()
