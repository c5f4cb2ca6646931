"""A cluster of real nodes, with a network and disks that can fail."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actors.runtime.key_file import make_key_file
from jobd.dev.free_port import free_port
from jobd.node.link_keys import LinkKeys
from tests.bench.processes import tree
from tests.cluster.network import Loopback, Network
from tests.integration.node_process import NodeProcess, until

__all__ = ["DEFAULTS", "TIMEOUT_S", "Cluster", "ClusterNode", "running"]

DEFAULTS = {
    "JOBD_CFG_CLUSTER__HEARTBEAT_INTERVAL_MS": "1000",
    "JOBD_CFG_CLUSTER__FAILURE_TIMEOUT_MS": "5000",
}
TIMEOUT_S = 2.5  # the failure timeout of tests, unless the environment given says otherwise
_READY_S = 120.0  # a machine that does much else takes its time with an import


class ClusterNode(NodeProcess):
    """A node of a cluster at a host. Its ports stay the same when it restarts."""

    def __init__(self, name: str, data: Path, host: str, *args: str) -> None:
        self.name = name
        chosen = {flag: free_port() for flag in ("http", "cluster", "metrics")}
        ports = [f"--{flag}=127.0.0.1:{port}" for flag, port in chosen.items()]
        self.at = {flag: f"{host}:{port}" for flag, port in chosen.items()}
        super().__init__(data, "--name", name, "--log-level", "info", *ports, *args)
        self.url = f"http://{self.at['http']}"
        self.frozen = False

    @property
    def launched(self) -> bool:
        """Whether it ever ran."""
        return self._process is not None

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        self.frozen = False
        super().launch()

    def ready(self) -> bool:
        """Whether it takes work. Fails when its process has ended."""
        return self._found() and self._ready()

    def _found(self) -> bool:
        found = super()._found()
        self.url = f"http://{self.at['http']}"  # it knows only its own loopback
        return found

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.frozen = False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def lose_power(self) -> None:
        """Kill all at once: the node, its job supervisor and what that runs."""
        supervisor = self.supervisor_pid()
        pids = tree(self.pid) if self.runs else []
        if supervisor is not None:
            pids += tree(supervisor)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        for pid in pids:
            until(lambda pid=pid: not _uses(pid, self.data))  # type: ignore[misc]

    def metrics(self) -> dict[str, float]:
        """Return its metrics, those of one name added up."""
        url = f"http://{self.at['metrics']}/metrics"
        found: dict[str, float] = {}
        with urllib.request.urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                name, _, value = line.rpartition(" ")
                if not name.startswith("#"):
                    bare = name.partition("{")[0]
                    found[bare] = found.get(bare, 0.0) + float(value)
        return found


def _peers(fronts: list[str], own: str) -> dict[str, str]:
    return {
        "JOBD_CFG_CLUSTER__BOOTSTRAP_PEERS": ",".join(fronts),
        "JOBD_CFG_CLUSTER__ADVERTISE": own,
    }


def _uses(pid: int, data: Path) -> bool:
    with suppress(OSError):
        return any(str(fd.readlink()).startswith(f"{data}/") for fd in _fds(pid))
    return False


def _fds(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/fd").iterdir()


class Cluster:
    """Nodes n1, n2, … that know each other by the fronts of their network."""

    def __init__(
        self,
        places: Iterable[Path],
        *args: str,
        program: str = "jobd",
        environment: Mapping[str, str] | None = None,
        network: Network | None = None,
    ) -> None:
        self.network = network or Loopback(self._pids)
        self.nodes = [
            ClusterNode(f"n{number}", place, self.network.host(f"n{number}"), *args)
            for number, place in enumerate(places, 1)
        ]
        fronts = [self.network.add(node.name, node.at["cluster"]) for node in self.nodes]
        for node, front in zip(self.nodes, fronts, strict=True):
            node.program = ("-m", program)
            node.prefix = self.network.prefix(node.name)
            node.data.parent.mkdir(parents=True, exist_ok=True)
            node.environment = {
                "JOBD_CFG_CLUSTER__HEARTBEAT_INTERVAL_MS": f"{TIMEOUT_S * 200:.0f}",
                "JOBD_CFG_CLUSTER__FAILURE_TIMEOUT_MS": f"{TIMEOUT_S * 1000:.0f}",
                **(environment or {}),
                "JOBD_CFG_HTTP__ALLOWED_HOSTS": self.network.host(node.name),
                **(_peers(fronts, front) if len(fronts) > 1 else {}),
            }
        if self.network.needs_keys:
            self._give_keys(fronts)

    def _give_keys(self, fronts: list[str]) -> None:
        """Have each node know the others' keys, and one of this process's clients."""
        file = self.nodes[0].data.parent / "client.curve"
        client = make_key_file(file).public
        os.environ["JOBD_KEY_FILE"] = str(file)
        known = []
        for node, front in zip(self.nodes, fronts, strict=True):
            files = LinkKeys(node.data)
            key = files.make().public.hex()
            files.allow("client", "tests", client)
            known.append(f"{front}={key}")
            node.at["cluster"] = f"{key}@{node.at['cluster']}"
        for node in self.nodes:
            node.environment["JOBD_CFG_CLUSTER__KEYS"] = ",".join(known)

    def _pids(self) -> dict[str, int]:
        return {node.name: node.pid for node in self.nodes if node.runs}

    def start(self) -> None:
        """Start all nodes and wait until they take work."""
        for node in self.nodes:
            node.launch()
        self.await_ready()

    def await_ready(self, timeout_s: float = _READY_S) -> None:
        """Wait until all nodes take work."""
        deadline = time.monotonic() + timeout_s
        for node in self.nodes:
            until(node.ready, max(0.1, deadline - time.monotonic()))

    @property
    def token(self) -> str:
        """A token that every node takes."""
        return (self.nodes[0].data / "admin.token").read_text().strip()

    def cut_off(self, node: ClusterNode, *, hears: bool = False, speaks: bool = False) -> None:
        """Cut a node off from all others, but for what it still hears or still says."""
        for other in self.nodes:
            if other is not node:
                if not speaks:
                    self.network.cut(node.name, other.name)
                if not hears:
                    self.network.cut(other.name, node.name)

    def heal(self) -> None:
        """End all cuts."""
        for a in self.nodes:
            for b in self.nodes:
                if a is not b:
                    self.network.heal(a.name, b.name)

    def recover(self) -> None:
        """End all faults: every node runs and reaches every other."""
        self.heal()
        for node in self.nodes:
            if node.frozen:
                node.thaw()
            if not node.runs:
                node.launch()
        self.await_ready()

    def end(self) -> None:
        """End every process and the network."""
        for node in self.nodes:
            if node.launched:
                node.end()
        self.network.close()

    def log(self) -> str:
        """What the nodes said, for a failure's report."""
        return "\n".join(f"-- {node.name}\n{node.log()[-3000:]}" for node in self.nodes)

    def statuses(self) -> list[dict[str, Any]]:
        """Return what each node says of itself."""
        return [node.call("GET", "/status") for node in self.nodes]


@contextmanager
def running(
    places: Iterable[Path],
    *args: str,
    program: str = "jobd",
    environment: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> Iterator[Cluster]:
    """Run a cluster for a test, on loopback by default. One of a single node is a node alone."""
    cluster = Cluster(places, *args, program=program, environment=environment, network=network)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
