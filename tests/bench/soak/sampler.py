"""What a node's processes hold at a moment: memory, descriptors, threads, CPU; and its disk."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.request
from pathlib import Path

from tests.bench.processes import cpu_s, tree
from tests.integration.node_process import NodeProcess

__all__ = ["Sampler"]

_GAUGES = (
    "jobd_queue_depth",
    "jobd_jobs_running",
    "jobd_store_revision",
    "jobd_dead_letters_total",
    "jobd_reconcile_repairs_total",
)
_SUMS = ("jobd_actor_mailbox_depth", "jobd_actor_restarts_total")


class Sampler:
    """Reads a node from outside; CPU is what was used since the sample before."""

    def __init__(self, node: NodeProcess, metrics: str | None) -> None:
        self._node = node
        self._metrics = metrics
        self._cpu: dict[int, tuple[float, float]] = {}  # pid -> (when, CPU seconds)
        self._supervisor: int | None = None

    def processes(self) -> dict[str, dict[str, float]]:
        """Return the node, its lasting children and the job supervisor, by what they are."""
        found: dict[str, dict[str, float]] = {}
        supervisor = self._supervisor_pid()
        pids = tree(self._node.pid)
        if supervisor is not None and supervisor not in pids:
            pids.append(supervisor)
        for pid in pids:
            with contextlib.suppress(OSError):  # it ended meanwhile
                name = "node" if pid == self._node.pid else _name(pid)
                if pid == supervisor:
                    name = "job supervisor"
                found[name] = self._process(pid)
        return found

    def _supervisor_pid(self) -> int | None:
        """Look through all processes only when the one known is gone."""
        if self._supervisor is None or not Path(f"/proc/{self._supervisor}").exists():
            self._supervisor = self._node.supervisor_pid()
        return self._supervisor

    def _process(self, pid: int) -> dict[str, float]:
        status = _fields(Path(f"/proc/{pid}/status"))
        rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
        now, used = time.monotonic(), cpu_s([pid])
        before, used_before = self._cpu.get(pid, (now, used))
        self._cpu[pid] = now, used
        return {
            "rss_mib": round(int(status["VmRSS"].split()[0]) / 1024, 2),
            "pss_mib": round(int(rollup["Pss"].split()[0]) / 1024, 2),
            "fds": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            "threads": int(status["Threads"]),
            "cpu_percent": round(100 * (used - used_before) / max(now - before, 1e-3), 2),
        }

    def gauges(self) -> dict[str, float]:
        """Return what the node's metrics say of queues and mishaps."""
        if self._metrics is None:
            return {}
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
        found: dict[str, float] = {}
        for line in lines:
            name, _, value = line.rpartition(" ")
            bare = name.partition("{")[0]
            if bare in _GAUGES or bare in _SUMS:
                found[bare] = found.get(bare, 0.0) + float(value)
        return found

    def disk_mib(self) -> dict[str, float]:
        """Return what each part of the data directory takes."""
        found: dict[str, float] = {}
        for entry in os.scandir(self._node.data):
            with contextlib.suppress(FileNotFoundError):
                found[entry.name] = round(_allocated(entry) / 2**20, 2)
        return {name: size for name, size in found.items() if size}


def _allocated(entry: os.DirEntry[str]) -> int:
    if not entry.is_dir(follow_symlinks=False):
        return entry.stat(follow_symlinks=False).st_blocks * 512
    total = 0
    for inner in os.scandir(entry.path):
        with contextlib.suppress(FileNotFoundError):
            total += _allocated(inner)
    return total


def _name(pid: int) -> str:
    """What a child says it is: its title, or the module that it runs."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return words[0].rpartition("/")[2] or str(pid)


def _fields(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}
