"""Chains of steps as a pipeline, beside Celery's; and many runs of a graph at once.

Run: scripts/bench chain [PART...] [--rounds N] [--runs N]; parts: chain peers many.
The workload is Windmill's published one: 40 x fibo(10) and 10 x fibo(33) in sequence, in Python. A
step of JobD is a process of its own, a task of Celery a call in a worker that runs already: the
time of bare processes, one after the other, is told beside. Chains of `true` show what a
transition costs. Everything is durable but Celery over Redis's default.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.bench.load import Client
from tests.bench.peers import Peer, missing, peers
from tests.bench.report import Report, percentile
from tests.integration.node_process import NodeProcess, running

PARTS: Final = ("chain", "peers", "many")
_FIBO: Final = "f=lambda n: n if n<2 else f(n-1)+f(n-2)\nprint(f({n}))"
_PYTHON: Final = os.path.realpath(sys.executable)
_CHAINS: Final = {"40 x fibo(10)": (40, 10), "10 x fibo(33)": (10, 33), "40 x true": (40, 0)}
_GOALS: Final = {"40 x fibo(10)": 1.2}
_LAYERS, _WIDTH = 4, 5


def _command(n: int) -> list[str]:
    return [_PYTHON, "-I", "-S", "-c", _FIBO.format(n=n)] if n else ["/usr/bin/true"]


def _chain(name: str, count: int, n: int) -> dict[str, Any]:
    cmd, *args = _command(n)
    job = {"type": "command", "cmd": cmd, "args": args}
    steps = {f"s{i}": job | ({"needs": [f"s{i - 1}"]} if i else {}) for i in range(count)}
    return {"name": name, "jobs": steps}


def _run(client: Client, name: str) -> float:
    began = time.perf_counter()
    run_id = client.call("POST", f"/pipelines/{name}/trigger", {})["run_id"]
    run = client.call("GET", f"/runs/{run_id}?wait=60s")
    took_s = time.perf_counter() - began
    assert run["state"] == "succeeded", run
    return took_s


def _bare(count: int, n: int) -> float:
    """Run the same processes one after the other."""
    began = time.perf_counter()
    for _ in range(count):
        subprocess.run(_command(n), stdout=subprocess.DEVNULL, env={}, check=True)
    return time.perf_counter() - began


def chains(report: Report, directory: Path, rounds: int, *, with_peers: bool) -> None:
    """Trigger to end of a chain, in rounds that alternate with the peers'."""
    with ExitStack() as stack:
        node = stack.enter_context(running(directory / "chain", "--slots", "2"))
        client = Client(node)
        rivals = stack.enter_context(peers(directory, 2)) if with_peers else {}
        rivals = {name: peer for name, peer in rivals.items() if peer.name == "celery"}
        for number, (what, (count, n)) in enumerate(_CHAINS.items()):
            name = f"chain-{number}"
            client.call("PUT", f"/pipelines/{name}", _chain(name, count, n))
            _run(client, name)  # everything has begun
            contenders: dict[str, Callable[[], float]] = {
                "JobD": lambda name=name: _run(client, name),  # type: ignore[misc]
                "bare processes": lambda count=count, n=n: _bare(count, n),  # type: ignore[misc]
            }
            if n:
                contenders |= {
                    rival: lambda peer=peer, count=count, n=n: _celery(peer, count, n)  # type: ignore[misc]
                    for rival, peer in rivals.items()
                }
            took: dict[str, list[float]] = {contender: [] for contender in contenders}
            for _ in range(rounds):
                for contender, run in contenders.items():
                    took[contender].append(run())
            for contender, seconds in took.items():
                goal = _GOALS.get(what) if contender == "JobD" else None
                report.add(f"{what}, {contender}", statistics.median(seconds), "s", at_most=goal)


def _celery(peer: Peer, count: int, n: int) -> float:
    command = [peer.python, "-m", "tests.bench.peer.chain", str(count), str(n)]
    return float(subprocess.check_output(command, env=peer.environment(), cwd="/"))


def many(report: Report, directory: Path, runs: int) -> None:
    """Begin many runs of 20 steps at once: memory, and how long a step takes to follow."""
    layers = [[f"s{layer}-{i}" for i in range(_WIDTH)] for layer in range(_LAYERS)]
    job = {"type": "command", "cmd": "/usr/bin/true"}
    steps = {
        name: job | ({"needs": layers[depth - 1]} if depth else {})
        for depth, layer in enumerate(layers)
        for name in layer
    }
    with running(directory / "many", "--slots", "8") as node:
        client = Client(node)
        client.call("PUT", "/pipelines/graph", {"name": "graph", "jobs": steps})
        _run(client, "graph")
        before_mib, began = _rss_mib(node), time.perf_counter()
        after = client.call("GET", "/status")["revision"]
        made = [client.call("POST", "/pipelines/graph/trigger", {})["run_id"] for _ in range(runs)]
        begun_s = time.perf_counter() - began
        peak_mib = 0.0
        for run_id in made:
            while True:
                peak_mib = max(peak_mib, _rss_mib(node))
                if client.call("GET", f"/runs/{run_id}?wait=10s")["state"] == "succeeded":
                    break
        took_s = time.perf_counter() - began
        follows_ms = _transitions_ms(client, after)
    report.add(f"{runs} runs of 20 steps: triggered", runs / begun_s, "runs/s")
    report.add(f"{runs} runs of 20 steps: steps", runs * 20 / took_s, "steps/s")
    report.add("end of a job to the start of what needs it, p50", percentile(follows_ms, 50), "ms")
    report.add("the same, p99", percentile(follows_ms, 99), "ms")
    report.add("memory of the node, before", before_mib, "MiB")
    report.add("memory of the node, at its most", max(peak_mib, before_mib), "MiB", at_most=1024)


def _rss_mib(node: NodeProcess) -> float:
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _transitions_ms(client: Client, after: int) -> list[float]:
    """Return how long after the last end of a layer the next one's steps were started."""
    ended: dict[tuple[str, int], float] = {}
    begun: dict[tuple[str, int], float] = {}
    jobs: dict[str, tuple[str, int]] = {}
    place: str | None = f"{after}-0"
    while place is not None:
        page = client.call("GET", f"/events?after={place}&limit=500&types=jobd:step:*,jobd:job:*")
        for event in page["items"]:
            data, at_ms = event["data"], datetime.fromisoformat(event["time"]).timestamp() * 1e3
            if event["type"] == "jobd:step:started":
                layer = data["run"], int(data["step"][1])
                begun.setdefault(layer, at_ms)
                jobs[data["job"]] = layer
            elif event["type"] == "jobd:job:completed" and data["job"] in jobs:
                layer = jobs[data["job"]]
                ended[layer] = max(ended.get(layer, 0.0), at_ms)
        place = page["next_cursor"]
    return [
        max(0.0, at_ms - ended[run, depth - 1])
        for (run, depth), at_ms in begun.items()
        if depth and (run, depth - 1) in ended
    ]


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="scripts/bench chain", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--dir", help="where the data lies; its disk is what is measured")
    asked = parser.parse_args()
    parts = set(asked.parts or PARTS)
    if parts - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    if "peers" in parts and (why := missing()):
        print(f"without peers: {why}", file=sys.stderr)
        parts.remove("peers")
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        report = Report("chain", Path(name))
        if parts & {"chain", "peers"}:
            chains(report, Path(name), asked.rounds, with_peers="peers" in parts)
        if "many" in parts:
            many(report, Path(name), asked.runs)
        report.keep()


if __name__ == "__main__":
    main()
