"""Calls between actors of two processes, beside Ray's in the same run.

Run: scripts/bench actors [--rounds N] [--seconds S] [--without-ray]. Rounds of JobD and of Ray
alternate, each figure is the median of its rounds: trust the ratios of one run. JobD's caller and
callee are processes of their own, connected to a real node; CPU is that of all processes of either
side, the node and Ray's daemons too. Ray lives in a virtual environment of its own under the user's
cache directory, made at the first use.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.processes import cpu_s, tree
from tests.bench.report import Report
from tests.integration.node_process import running

__all__ = ["Side", "jobd", "ray"]

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("ray>=2.40",)
_GOALS = {
    "sync": 3,
    "pipelined": 20,
    "pipelined-300B": 15,
    "async-sync": None,
    "async-pipelined": 8,
    "1MiB": 3,
}
_SPAWNS = {"jobd": {"spawn-plain": 500, "spawn-async": 20_000}, "ray": {"spawn-plain": 8}}


class Side(NamedTuple):
    """One of the two: its caller, and the other processes that work for it."""

    name: str
    caller: subprocess.Popen[str]
    others: tuple[int, ...]

    def ask(self, pattern: str, amount: float) -> tuple[float, float]:
        """Have the caller run a pattern; return the two numbers that it says."""
        assert self.caller.stdin is not None and self.caller.stdout is not None
        self.caller.stdin.write(f"{pattern} {amount}\n")
        self.caller.stdin.flush()
        first, second = self.caller.stdout.readline().split()
        return float(first), float(second)

    def measure(self, pattern: str, seconds: float) -> tuple[float, float]:
        """Return calls per second and CPU microseconds per call of all processes."""
        before = self._cpu_s()
        calls, took_s = self.ask(pattern, seconds)
        return calls / took_s, (self._cpu_s() - before) / calls * 1e6

    def _cpu_s(self) -> float:
        return cpu_s(pid for root in (self.caller.pid, *self.others) for pid in tree(root))


@contextmanager
def _process(
    python: str, module: str, *args: str, token: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """Run a module until it says that it is ready; it ends when its stdin does."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "JOBD_TOKEN": token}
    process = subprocess.Popen(
        [python, "-m", module, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        while (line := process.stdout.readline()) != "ready\n":
            assert line, f"{module} ended"
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def jobd(directory: Path) -> Iterator[Side]:
    """Run a node, the process of the actors and the caller."""
    with ExitStack() as stack:
        node = stack.enter_context(running(directory / "node"))
        told = json.loads((node.data / "run" / "node.json").read_text())
        address = f"tcp://{told['cluster']}"
        start = "tests.bench.peer.actor_host"
        host = stack.enter_context(_process(sys.executable, start, address, token=node.token))
        calls = "tests.bench.peer.actor_calls"
        caller = _process(sys.executable, calls, "jobd", address, token=node.token)
        yield Side("jobd", stack.enter_context(caller), (node.pid, host.pid))


@contextmanager
def ray() -> Iterator[Side]:
    """Run Ray and the caller, which starts it."""
    with _process(_ray_python(), "tests.bench.peer.actor_calls", "ray") as caller:
        yield Side("ray", caller, ())


def _ray_python() -> str:
    """Return the interpreter of Ray's environment, made and filled if need be."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = root / "jobd-bench" / f"ray-{sys.version_info[0]}.{sys.version_info[1]}"
    python, stamp = place / "bin" / "python", place / ".packages"
    if not stamp.exists() or stamp.read_text() != repr(_PACKAGES):
        print("making a virtual environment for Ray", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *_PACKAGES], check=True)
        stamp.write_text(repr(_PACKAGES))
    return str(python)


def _calls(report: Report, sides: list[Side], rounds: int, seconds: float) -> None:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for pattern in _GOALS:
            for side in sides:
                figures = side.measure(pattern, seconds)
                found.setdefault((pattern, side.name), []).append(figures)
    for pattern, goal in _GOALS.items():
        medians = {}
        for side in sides:
            runs = found[pattern, side.name]
            rate, cpu_us = (statistics.median(each) for each in zip(*runs, strict=True))
            medians[side.name] = (rate, cpu_us)
            report.add(f"{side.name}: {pattern}", rate, "calls/s")
            report.add(f"{side.name}: {pattern}, CPU of a call", cpu_us, "us")
        if len(sides) == 2:
            (rate, cpu_us), (ray_rate, ray_cpu_us) = medians["jobd"], medians["ray"]
            report.add(f"{pattern}: JobD / Ray", rate / ray_rate, "x", at_least=goal)
            report.add(f"{pattern}: CPU of Ray / JobD", ray_cpu_us / cpu_us, "x")


def _spawns(report: Report, sides: list[Side]) -> None:
    for side in sides:
        for pattern, count in _SPAWNS[side.name].items():
            took_s, size = side.ask(pattern, count)
            is_goal = pattern == "spawn-async"
            name = f"{side.name}: {pattern}, {count:,}"
            report.add(name, count / took_s, "/s", at_least=20_000 if is_goal else None)
            least = 4096 if is_goal else None
            report.add(f"{name}: an idle actor", size, "bytes", at_most=least)


def main() -> None:
    """Measure both, or JobD alone."""
    parser = argparse.ArgumentParser(prog="scripts/bench actors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--without-ray", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        report = Report("actors", directory)
        sides = [stack.enter_context(jobd(directory))]
        if not asked.without_ray:
            sides.append(stack.enter_context(ray()))
        _calls(report, sides, asked.rounds, asked.seconds)
        _spawns(report, sides)
        report.keep()


if __name__ == "__main__":
    main()
