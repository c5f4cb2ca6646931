"""Three real nodes on loopback, each on a port of its own, and further ones that join."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobd.dev.free_port import free_port
from tests.integration.node_process import NodeProcess, Refused, until

__all__ = ["SLOW_S", "Three", "put", "read", "three"]

SLOW_S = 60.0


class Three:
    """Nodes by number from 1; the first three are the bootstrap peers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ports = {n: free_port() for n in range(1, 6)}
        self.nodes: dict[int, NodeProcess] = {}
        self.lives = 0

    @property
    def peers(self) -> str:
        return ",".join(f"127.0.0.1:{self.ports[n]}" for n in (1, 2, 3))

    def make(self, n: int, *args: str, forms: bool = True) -> NodeProcess:
        """Return a node that is not started; a wiped one gets an empty directory."""
        node = NodeProcess(
            self._directory / f"n{n}",
            f"--cluster=127.0.0.1:{self.ports[n]}",
            f"--name=n{n}",
            *args,
        )
        node.environment = {"JOBD_CFG_CLUSTER__BOOTSTRAP_PEERS": self.peers if forms else ""}
        self.nodes[n] = node
        return node

    def launch(self, *numbers: int) -> None:
        """Start nodes that were there before, or make them, and wait until they take work."""
        for n in numbers:
            (self.nodes.get(n) or self.make(n)).launch()
        for n in numbers:
            node = self.nodes[n]
            until(node._found, SLOW_S)
            until(node._ready, SLOW_S)

    def end(self) -> None:
        for node in self.nodes.values():
            if node._process is not None:
                node.end()

    def join(self, n: int, role: str = "voter") -> NodeProcess:
        """Have an empty node join through the first one."""
        minted = self.nodes[1].call("POST", "/cluster/join-tokens", {"ttl": "10m"})
        address = f"127.0.0.1:{self.ports[1]}"
        node = self.make(n, "--join", address, "--join-token", minted["token"], forms=False)
        node.environment["JOBD_CFG_CLUSTER__ROLE"] = role
        self.launch(n)
        return self.nodes[n]

    def id_of(self, n: int) -> str:
        """Return a node's id."""
        found: str = self.nodes[n].call("GET", "/cluster")["node"]
        return found


def put(node: NodeProcess, key: str, value: bytes) -> None:
    """Put a value, again while nobody decides."""

    def tried() -> bool:
        with contextlib.suppress(Refused, OSError):
            node.call("PUT", f"/kv/test/{key}", value)
            return True
        return False

    until(tried, SLOW_S)


def read(node: NodeProcess, key: str) -> Any:
    """Return a value as this node has it, None while it has none."""
    with contextlib.suppress(Refused):
        return node.call("GET", f"/kv/test/{key}")
    return None


def offline(*args: str, program: str = "jobd") -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", program, *args],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
        timeout=SLOW_S,
    )


@contextlib.contextmanager
def three(directory: Path) -> Iterator[Three]:
    """Run three nodes for a test."""
    made = Three(directory)
    try:
        made.launch(1, 2, 3)
        yield made
    finally:
        made.end()
