"""A development cluster: nodes, the proxy between them, and the faults that they can have."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.errors import ConfigError, Conflict, DataDirectory, NotFound
from jobd.dev.free_port import free_port
from jobd.dev.node import DevNode, Ports
from jobd.dev.process_tree import adopt_orphans, kill_below, reap
from jobd.dev.proxy import Proxy
from jobd.dev.socket_owner import owner_of
from jobd.node.data_directory import write_atomically

__all__ = ["DevCluster"]

_LAYOUT: Final = "dev.json"
_START_S: Final = 90.0
_LOOK_S: Final = 0.02
_STOP_S: Final = 2.0  # a node waits longer for a majority to say goodbye to
_REAP_S: Final = 0.1


class DevCluster:
    """Nodes `node1`, `node2`, … with their data below one directory.

    The directory has a `run/node.json` and an `admin.token` like a node's, which lead to all nodes:
    `jobctl` and the client library take it for one.
    """

    def __init__(self, directory: Path, nodes: list[DevNode], proxy: Proxy) -> None:
        self.directory = directory
        self.nodes = {node.name: node for node in nodes}
        self._proxy = proxy
        self._reaper = asyncio.ensure_future(self._reap())

    @classmethod
    async def open(cls, directory: Path, count: int, http: tuple[str, int]) -> DevCluster:
        """Lay out a cluster in a directory, or take one up that is there; nothing runs yet.

        Raises ConfigError, DataDirectory.
        """
        adopt_orphans()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "run").mkdir(mode=0o700, exist_ok=True)
        ports = _read_layout(directory, count) or [_free_ports(http, n) for n in range(count)]
        nodes: list[DevNode] = []

        def who(port: int) -> str:
            by_pid = {node.pid: node.name for node in nodes if node.pid is not None}
            owner = owner_of(port, by_pid)
            return by_pid[owner] if owner is not None else ""

        proxy = Proxy(who)
        for number, each in enumerate(ports, 1):
            name = f"node{number}"
            try:
                each.front = await proxy.add(name, each.front)
            except OSError as error:
                await proxy.close()
                raise _taken(each.front, directory) from error
            proxy.lead(name, each.cluster)
        fronts = [f"127.0.0.1:{each.front}" for each in ports]
        for number, each in enumerate(ports, 1):
            name = f"node{number}"
            nodes.append(DevNode(name, directory / name, each, fronts))
        write_atomically(directory / _LAYOUT, msgspec.json.encode(ports))
        return cls(directory, nodes, proxy)

    # -- life

    async def start(self) -> None:
        """Start every node and wait until all take work. Raises ConfigError when one does not."""
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            await self.ready(node)
        first = next(iter(self.nodes.values()))
        write_atomically(self.directory / "admin.token", f"{first.token()}\n".encode())
        found = [node.note() for node in self.nodes.values()]
        note = {
            "url": ",".join(each["url"] for each in found),
            "cluster": ",".join(each["cluster"] for each in found),
            "pid": os.getpid(),
        }
        write_atomically(self.directory / "run" / "node.json", json.dumps(note).encode())

    async def ready(self, node: DevNode) -> None:
        """Wait until a node takes work. Raises ConfigError when it ends instead, or never does."""
        deadline = asyncio.get_running_loop().time() + _START_S
        while not await asyncio.to_thread(node.is_ready):
            late = asyncio.get_running_loop().time() > deadline
            if node.pid is None or late:
                raise ConfigError(
                    f"{node.name} {'is not ready' if late else 'has ended'}: {_last_line(node)}",
                    remedy=f"see {node.log}",
                )
            await asyncio.sleep(_LOOK_S)

    async def stop(self) -> None:
        """End the nodes, then whatever is left of them."""
        (self.directory / "run" / "node.json").unlink(missing_ok=True)
        for node in self.nodes.values():
            node.terminate()
        deadline = asyncio.get_running_loop().time() + _STOP_S
        while any(node.pid for node in self.nodes.values()):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_LOOK_S)
        self._reaper.cancel()
        kill_below()
        await self._proxy.close()

    async def _reap(self) -> None:
        """A node waits for the end of what its dead job supervisor ran: no zombie may remain."""
        while True:
            await asyncio.sleep(_REAP_S)
            reap({node.pid for node in self.nodes.values() if node.pid is not None})

    # -- faults

    def node(self, name: str) -> DevNode:
        """Return a node. Raises NotFound."""
        try:
            return self.nodes[name]
        except KeyError:
            raise NotFound(
                f"there is no node {name}", remedy=f"the nodes are {', '.join(self.nodes)}"
            ) from None

    def kill(self, name: str, *, with_jobs: bool) -> None:
        """Kill -9 a node. Raises NotFound, Conflict when it does not run."""
        self._running(name).kill(with_jobs=with_jobs)

    def freeze(self, name: str) -> None:
        """Stop a node's process as it stands. Raises NotFound, Conflict when it does not run."""
        self._running(name).freeze()

    def thaw(self, name: str) -> None:
        """Let a frozen node go on. Raises NotFound, Conflict when it does not run."""
        self._running(name).thaw()

    async def restart(self, name: str) -> None:
        """Stop a node if it runs, start it, and wait until its HTTP answers."""
        node = self.node(name)
        node.terminate()
        deadline = asyncio.get_running_loop().time() + _STOP_S
        while node.pid is not None:
            if asyncio.get_running_loop().time() > deadline:
                node.kill()
            await asyncio.sleep(_LOOK_S)
        node.start()
        await self._answering(node)

    async def _answering(self, node: DevNode) -> None:
        """Wait for its note, not until it takes work: it may be cut off."""
        deadline = asyncio.get_running_loop().time() + _START_S
        while not node.note():
            if node.pid is None or asyncio.get_running_loop().time() > deadline:
                raise Conflict(f"{node.name} did not start: {_last_line(node)}")
            await asyncio.sleep(_LOOK_S)

    def cut(self, name: str, other: str | None, *, one_way: bool) -> None:
        """Cut a node off from all others or from one; `one_way`: only what it sends is held."""
        for a, b in self._pairs(name, other):
            self._proxy.cut(a, b)
            if not one_way:
                self._proxy.cut(b, a)

    def heal(self, name: str | None, other: str | None) -> None:
        """Undo the cuts of a node, those with another, or all."""
        names = [name] if name is not None else list(self.nodes)
        for a, b in (pair for each in names for pair in self._pairs(each, other)):
            self._proxy.heal(a, b)
            self._proxy.heal(b, a)

    def status(self) -> dict[str, Any]:
        """Return the nodes with their states, and the cuts."""
        nodes = [
            {"name": node.name, "state": node.state, "pid": node.pid, "url": node.url}
            for node in self.nodes.values()
        ]
        return {"nodes": nodes, "cuts": [list(pair) for pair in self._proxy.cuts()]}

    def _pairs(self, name: str, other: str | None) -> Iterator[tuple[str, str]]:
        self.node(name)
        others = [self.node(other).name] if other is not None else list(self.nodes)
        return ((name, each) for each in others if each != name)

    def _running(self, name: str) -> DevNode:
        node = self.node(name)
        if node.pid is None:
            raise Conflict(f"{name} does not run", remedy=f"`jobctl dev restart {name}` starts it")
        return node


def _read_layout(directory: Path, count: int) -> list[Ports] | None:
    """Return the ports of a cluster that is in a directory, if any. Raises DataDirectory."""
    file = directory / _LAYOUT
    if not file.exists():
        return None
    try:
        ports = msgspec.json.decode(file.read_bytes(), type=list[Ports])
    except msgspec.DecodeError as error:
        raise DataDirectory(f"{file} is damaged: {error}", remedy="remove the directory") from None
    if len(ports) != count:
        raise DataDirectory(
            f"{directory} holds a cluster of {len(ports)} nodes",
            remedy=f"give --nodes {len(ports)}, or another directory with --data",
        )
    return ports


def _free_ports(http: tuple[str, int], number: int) -> Ports:
    """Choose the ports of a node. HTTP has the one that was asked for, the next ones the others."""
    wanted = http[1] + number if http[1] else free_port()
    return Ports(http=wanted, cluster=free_port(), front=0, metrics=free_port())


def _taken(port: int, directory: Path) -> ConfigError:
    return ConfigError(
        f"port {port} of the cluster in {directory} is taken", remedy="give another --data"
    )


def _last_line(node: DevNode) -> str:
    with suppress(OSError):
        lines = node.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
    return "it left no log"
