"""Cgroups of attempts: limits, the end of a whole tree, and whether memory ran out.

    v2       one hierarchy: memory.max, cpu.max, cgroup.kill, memory.events
    hybrid   v1 controllers for limits and OOM, a v2 hierarchy beside them for cgroup.kill
    none     nothing is writable: no limits; trees are ended through /proc

Everything is found below `root` (/sys/fs/cgroup), under the supervisor's own group as
/proc/self/cgroup names it, in a group `jobd`. A group per attempt is made only when limits are
asked for: joining one costs more than spawning `true` does (docs/internals/job-supervisor.md).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from actors.core.supervisor_protocol import CgroupMode

__all__ = ["Cgroups", "Group"]

_OURS: Final = "jobd"
_LEAF: Final = "jobd-main"  # as in `DelegateSubgroup` of docs/operations/run-a-node.md
_CPU_PERIOD_US: Final = 100_000
_MINIMUM_QUOTA_US: Final = 1_000  # the kernel takes no less


class Group:
    """The group of one attempt: its directory in each hierarchy, the v2 one first."""

    def __init__(self, name: str, directories: dict[str, Path]) -> None:
        self.name = name
        self._directories = directories

    @property
    def join_files(self) -> list[str]:
        """The files to which a process writes 0 to enter."""
        return [f"{directory}/cgroup.procs" for directory in self._directories.values()]

    def limit(self, *, memory_bytes: int, cpu_milli: int) -> None:
        """Set the limits; 0 is none. Raises OSError."""
        unified = self._directories["unified"]
        if memory_bytes:
            if "memory" in self._directories:
                memory = self._directories["memory"]
                (memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
                # With swap, memory alone is no bound; without swap accounting there is no file.
                with contextlib.suppress(FileNotFoundError):
                    (memory / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))
            else:
                (unified / "memory.max").write_text(str(memory_bytes))
                with contextlib.suppress(FileNotFoundError):
                    (unified / "memory.swap.max").write_text("0")
        if cpu_milli:
            quota = max(_MINIMUM_QUOTA_US, cpu_milli * _CPU_PERIOD_US // 1000)
            if "cpu" in self._directories:
                cpu = self._directories["cpu"]
                (cpu / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD_US))
                (cpu / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (unified / "cpu.max").write_text(f"{quota} {_CPU_PERIOD_US}")

    def kill(self) -> None:
        """SIGKILL everything in it at once, forks under way included."""
        with contextlib.suppress(OSError):
            (self._directories["unified"] / "cgroup.kill").write_text("1")

    def populated(self) -> bool:
        """Whether a process is left in it."""
        try:
            events = (self._directories["unified"] / "cgroup.events").read_text()
        except OSError:
            return False
        return "populated 1" in events

    def out_of_memory(self) -> bool:
        """Whether the kernel killed in it because memory ran out."""
        if "memory" in self._directories:
            path = self._directories["memory"] / "memory.oom_control"
        else:
            path = self._directories["unified"] / "memory.events"
        try:
            lines = path.read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def remove(self) -> None:
        """Remove it once it is empty."""
        for directory in self._directories.values():
            with contextlib.suppress(OSError):
                directory.rmdir()


class Cgroups:
    """What of cgroups can be used here; `mode` says it in one word."""

    def __init__(
        self, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
    ) -> None:
        self.mode: CgroupMode = "none"
        self._parents: dict[str, Path] = {}
        try:
            paths = _own_paths(own.read_text())
        except OSError:
            return
        if (root / "cgroup.controllers").exists():
            self._use_v2(root / paths.get("", "/").lstrip("/"))
        elif (root / "unified" / "cgroup.procs").exists():
            self._use_hybrid(root, paths)

    def create(self, name: str) -> Group:
        """Make a group. Raises OSError."""
        directories = {kind: parent / name for kind, parent in self._parents.items()}
        for directory in directories.values():
            directory.mkdir(exist_ok=True)
        return Group(name, directories)

    def find(self, name: str) -> Group | None:
        """Return a group that an earlier instance made, if it is still there."""
        directories = {kind: parent / name for kind, parent in self._parents.items()}
        found = {kind: path for kind, path in directories.items() if path.exists()}
        return Group(name, found) if "unified" in found else None

    def _use_v2(self, own: Path) -> None:
        """Delegated v2: processes sit in leaves only, so our own group's go to a leaf first.

        We sit in that leaf already where systemd or an earlier supervisor has put us there.
        """
        own = own.parent if own.name == _LEAF else own
        parent = own / _OURS
        try:
            self._enable_controllers(own)
            parent.mkdir(exist_ok=True)
            self._enable_controllers(parent)
        except OSError:
            return
        if (parent / "cgroup.kill").exists():
            self.mode, self._parents = "v2", {"unified": parent}

    @staticmethod
    def _enable_controllers(group: Path) -> None:
        control = group / "cgroup.subtree_control"
        try:
            control.write_text("+memory +cpu")
        except OSError:
            leaf = group / _LEAF
            leaf.mkdir(exist_ok=True)
            for pid in (group / "cgroup.procs").read_text().split():
                (leaf / "cgroup.procs").write_text(pid)
            control.write_text("+memory +cpu")

    def _use_hybrid(self, root: Path, paths: dict[str, str]) -> None:
        parents = {"unified": root / "unified" / paths.get("", "/").lstrip("/") / _OURS}
        for controller in ("memory", "cpu"):
            own = paths.get(controller)
            if own is not None:
                parents[controller] = root / controller / own.lstrip("/") / _OURS
        try:
            for parent in parents.values():
                parent.mkdir(exist_ok=True)
        except OSError:
            return
        usable = all(os.access(parent, os.W_OK) for parent in parents.values())
        if usable and len(parents) == 3 and (parents["unified"] / "cgroup.kill").exists():
            self.mode, self._parents = "hybrid", parents


def _own_paths(text: str) -> dict[str, str]:
    """Parse /proc/self/cgroup into controller to path; "" is the v2 hierarchy."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths
