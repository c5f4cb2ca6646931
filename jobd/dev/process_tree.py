"""Everything below this process, also what has lost its parent: so that nothing is left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["adopt_orphans", "below", "die_with_parent", "kill_below", "reap"]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_KILL_S: Final = 2.0


def adopt_orphans() -> None:
    """Have what loses its parent below this process become its own child, not that of init."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Have this process told to stop when its parent is gone, however that came about."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def below(pid: int) -> list[int]:
    """Return the processes below one."""
    found = []
    for child in _children(pid):
        found += [child, *below(child)]
    return found


def reap(mine: Collection[int]) -> None:
    """Take leave of adopted processes that have ended; `mine` are waited for by others."""
    for pid in _children(os.getpid()):
        if pid not in mine:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def kill_below() -> None:
    """Kill and reap all below this process, and what they leave behind while they die."""
    deadline = time.monotonic() + _KILL_S
    while (pids := below(os.getpid())) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(())
        time.sleep(0.005)


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())
