"""What runs below a process, read from /proc.

A process is named for good by (pid, start ticks, boot id). Every job carries its attempt's mark in
two places, so that a daemon that left its session is still told apart: the key in the variable
JOBD_ATTEMPT_KEY, and a number made of it as its soft RLIMIT_RTTIME. That limit is inherited like
the others, whatever a daemon does to its environment, session and files; it bounds only real-time
processes, and at 73,000 years and more it bounds nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = [
    "ATTEMPT_VARIABLE",
    "ProcessStat",
    "attempt_of_process",
    "boot_id",
    "children_of",
    "descendants_of",
    "kill_all",
    "mark_of",
    "mark_of_process",
    "marking",
    "read_stat",
    "survivors",
]

ATTEMPT_VARIABLE: Final = "JOBD_ATTEMPT_KEY"
_MARKER: Final = f"{ATTEMPT_VARIABLE}=".encode()
_LEAST_MARK: Final = 1 << 61  # microseconds; nobody else sets such a limit
_LIMIT_LINE: Final = b"Max realtime timeout"


class ProcessStat(NamedTuple):
    """Of /proc/<pid>/stat what is needed here."""

    state: str
    session: int
    start_ticks: int


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(path: str) -> bytes:
    """Read a small file of /proc; empty when the process is gone or not ours to look at."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


def read_stat(pid: int) -> ProcessStat | None:
    """Return a process's state, session and start; None when it is gone."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    fields = data.rpartition(b")")[2].split()  # the name may hold spaces and parentheses
    return ProcessStat(fields[0].decode(), int(fields[3]), int(fields[19]))


def children_of(pid: int) -> list[int]:
    """Return the children of a process's main thread, zombies included.

    The kernel may leave some out when a sibling ends meanwhile: callers look again.
    """
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]


def descendants_of(pid: int) -> list[int]:
    """Return everything below a process."""
    found: list[int] = []
    todo = [pid]
    while todo:
        children = children_of(todo.pop())
        found += children
        todo += children
    return found


def attempt_of_process(pid: int) -> str | None:
    """Return the attempt key in a process's environment."""
    for variable in _read(f"/proc/{pid}/environ").split(b"\0"):
        if variable.startswith(_MARKER):
            return variable[len(_MARKER) :].decode(errors="replace")
    return None


def mark_of(attempt: str) -> int:
    """Return an attempt's mark, the same in every instance of its supervisor."""
    return _LEAST_MARK + int.from_bytes(hashlib.sha256(attempt.encode()).digest()[:7])


@contextlib.contextmanager
def marking(attempt: str) -> Iterator[None]:
    """Have what this process spawns meanwhile carry an attempt's mark.

    This process must not keep it: where it runs in a job itself, it carries that job's. Without
    effect under a finite hard limit, as marks are above any.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    if hard != resource.RLIM_INFINITY:
        yield
        return
    resource.setrlimit(resource.RLIMIT_RTTIME, (mark_of(attempt), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_RTTIME, (soft, hard))


def mark_of_process(pid: int) -> int | None:
    """Return the mark that a process carries."""
    line = _read(f"/proc/{pid}/limits").partition(_LIMIT_LINE)[2].partition(b"\n")[0]
    soft = line.split()[:1]
    if not soft or not soft[0].isdigit() or int(soft[0]) < _LEAST_MARK:
        return None
    return int(soft[0])


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL each; one that is gone is fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def survivors(belongs: Callable[[int, ProcessStat], bool]) -> list[int]:
    """Return the living processes of the machine that belong, with all their descendants."""
    found: set[int] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        status = read_stat(int(name))
        if status is not None and status.state not in "ZX" and belongs(int(name), status):
            found.add(int(name))
            found.update(descendants_of(int(name)))
    return sorted(found)
