"""The floor of a command job's CPU: posix_spawn and wait, in a process with nothing else in it.

Run as a program with a count: prints (wall seconds, CPU seconds of itself and its children).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

__all__ = ["TRUE", "bare_spawn"]

TRUE = "/usr/bin/true"


def bare_spawn(count: int) -> tuple[float, float]:
    """Return (wall, CPU) seconds of `count` spawns, in a process of their own."""
    command = [sys.executable, "-S", "-E", __file__, str(count)]
    wall_s, cpu_s = json.loads(subprocess.check_output(command))
    return wall_s, cpu_s


def _cpu() -> float:
    own, below = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime


if __name__ == "__main__":
    began_cpu, began = _cpu(), time.perf_counter()
    for _ in range(int(sys.argv[1])):
        os.waitpid(os.posix_spawn(TRUE, [TRUE], {}), 0)
    print(json.dumps([time.perf_counter() - began, _cpu() - began_cpu]))
