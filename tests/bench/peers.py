"""RQ and Celery over a real redis-server, as peers of a node in the same run.

Their Python packages live in a virtual environment of their own under the user's cache directory,
made at the first use; redis-server is the system's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.processes import cpu_s, tree

__all__ = ["DURABILITY", "PEERS", "Peer", "missing", "peers"]

_PACKAGES = ("rq>=2", "celery[redis]>=5.4", "redis>=5")
_ROOT = Path(__file__).parents[2]
PEERS = ("rq", "celery")
DURABILITY = {
    "default": (),
    "always": ("--appendonly", "yes", "--appendfsync", "always"),
}


def missing() -> str:
    """Return why the peers can't run here; empty when they can."""
    return "" if shutil.which("redis-server") else "no redis-server (apt-get install redis-server)"


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jobd-bench" / f"peers-{sys.version_info[0]}.{sys.version_info[1]}"


def _python() -> str:
    """Return the interpreter of the peers' environment, made and filled if need be."""
    python = _cache() / "bin" / "python"
    stamp = _cache() / ".packages"
    if not stamp.exists() or stamp.read_text() != repr(_PACKAGES):
        print("making a virtual environment for RQ and Celery", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_cache())], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *_PACKAGES], check=True)
        stamp.write_text(repr(_PACKAGES))
    return str(python)


class Peer(NamedTuple):
    """A queue with its workers and its Redis."""

    name: str
    python: str
    socket: str
    pids: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """What its processes see."""
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), "PEER_REDIS": self.socket}

    def run(self, count: int) -> tuple[float, float]:
        """Run jobs to their ends; return (wall, CPU) seconds, the submitters' CPU not counted."""
        command = [self.python, "-m", "tests.bench.peer.drive", self.name, str(count)]
        before = self._cpu_s()
        told = subprocess.check_output(command, env=self.environment(), cwd="/")
        return float(told), self._cpu_s() - before

    def _cpu_s(self) -> float:
        return cpu_s(pid for root in self.pids for pid in tree(root))


@contextmanager
def _redis(directory: Path, durability: str) -> Iterator[tuple[str, int]]:
    directory.mkdir()
    socket = directory / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(directory)]
    process = subprocess.Popen([*command, *DURABILITY[durability]], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None, "redis-server ended"
            time.sleep(0.02)
        yield str(socket), process.pid
    finally:
        process.terminate()
        process.wait()


def _worker(python: str, name: str, socket: str, workers: int) -> list[str]:
    if name == "rq":
        pool = [python, "-m", "rq.cli", "worker-pool", "--num-workers", str(workers)]
        return [*pool, "--url", f"unix://{socket}", "--quiet"]
    app = [python, "-m", "celery", "--quiet", "--app", "tests.bench.peer.celery_app", "worker"]
    calm = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    return [*app, "--concurrency", str(workers), "--prefetch-multiplier", "4", *calm]


@contextmanager
def peers(directory: Path, workers: int) -> Iterator[dict[str, Peer]]:
    """Run RQ and Celery over a Redis of each durability; by a name that says which."""
    python = _python()
    with ExitStack() as stack:
        found: dict[str, Peer] = {}
        for durability in DURABILITY:
            for name in PEERS:
                place = directory / f"{name}-{durability}"
                socket, redis = stack.enter_context(_redis(place, durability))
                peer = Peer(name, python, socket, (redis,))
                command = _worker(python, name, socket, workers)
                log = stack.enter_context((place / "worker.log").open("wb"))
                process = subprocess.Popen(
                    command, env=peer.environment(), cwd=place, stdout=log, stderr=log
                )
                stack.callback(_end, process)
                peer = peer._replace(pids=(redis, process.pid))
                peer.run(2 * workers)  # every worker has begun
                found[f"{name}, redis {durability}"] = peer
        yield found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker: at the second signal both of them end at once."""
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait(10)
