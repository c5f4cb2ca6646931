"""The network between the nodes of a test, in network namespaces: a machine's own for each node.

Nodes are joined by a bridge in this process's namespace, which reaches all of them. A node binds to
its own loopback, and what comes for its address is led there, so it needs keys. A cut is a
rule of the receiver's iptables that drops what comes from the sender: TCP sees a dead line, no
reset.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from tests.parts import need

__all__ = ["Namespaces", "namespaces"]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@functools.cache
def _missing() -> str:
    """Return why there are no namespaces to be had; empty when there are."""
    absent = [name for name in ("ip", "iptables") if shutil.which(name) is None]
    if os.geteuid() != 0 or absent:
        return "only root makes them" if not absent else f"no {', '.join(absent)}"
    name = f"jobd-probe-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "exec", name, "iptables", "-S")
        _run("ip", "link", "add", f"jp{os.getpid() % 10**8}", "type", "bridge")
    except subprocess.CalledProcessError as error:
        return str(error.stderr.decode().strip())
    finally:
        for kind in (("netns", "del", name), ("link", "del", f"jp{os.getpid() % 10**8}")):
            subprocess.run(["ip", *kind], check=False, capture_output=True)
    return ""


class Namespaces:
    """A namespace for each node: node number n is 10.B.B.n, B of this process."""

    needs_keys: ClassVar[bool] = True

    def __init__(self, names: list[str]) -> None:
        pid = os.getpid()
        self._net = f"10.{100 + pid // 250 % 100}.{pid % 250}"
        self._tag = f"jl{pid % 10**6}"
        self._hosts = {name: f"{self._net}.{n}" for n, name in enumerate(names, 1)}
        self._cuts: set[tuple[str, str]] = set()

    def open(self) -> None:
        """Make the bridge and the namespaces."""
        _run("ip", "link", "add", self._tag, "type", "bridge")
        _run("ip", "addr", "add", f"{self._net}.254/24", "dev", self._tag)
        _run("ip", "link", "set", self._tag, "up")
        for name, host in self._hosts.items():
            space, outside = self._space(name), f"{self._tag}{name}"
            _run("ip", "netns", "add", space)
            _run(
                "ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space
            )
            _run("ip", "link", "set", outside, "master", self._tag, "up")
            _run("ip", "-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _run("ip", "-n", space, "link", "set", device, "up")
            inside = self.prefix(name)
            _run(*inside, "sysctl", "-q", "net.ipv4.conf.all.route_localnet=1")
            led = ["PREROUTING", "-i", "eth0", "-p", "tcp", "-j", "DNAT", "--to", "127.0.0.1"]
            _run(*inside, "iptables", "-t", "nat", "-A", *led)

    def host(self, name: str) -> str:
        """Return a node's address."""
        return self._hosts[name]

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return what runs a command in a node's namespace, as the same process."""
        return ("ip", "netns", "exec", self._space(name))

    def add(self, node: str, address: str) -> str:
        """Return where the others reach what a node serves: there."""
        return address

    def cut(self, sender: str, receiver: str) -> None:
        """Have what one node sends not reach another."""
        if (sender, receiver) not in self._cuts:
            self._cuts.add((sender, receiver))
            self._rule("-A", sender, receiver)

    def heal(self, sender: str, receiver: str) -> None:
        """End a cut."""
        if (sender, receiver) in self._cuts:
            self._cuts.remove((sender, receiver))
            self._rule("-D", sender, receiver)

    def _rule(self, verb: str, sender: str, receiver: str) -> None:
        rule = ["INPUT", "-s", self._hosts[sender], "-j", "DROP"]
        _run(*self.prefix(receiver), "iptables", "-w", verb, *rule)

    def _space(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def close(self) -> None:
        """Remove it all; what still runs in a namespace goes on in it, without a network."""
        for name in self._hosts:
            with suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "del", self._space(name))
        with suppress(subprocess.CalledProcessError):
            _run("ip", "link", "del", self._tag)


@contextmanager
def namespaces(names: list[str]) -> Iterator[Namespaces]:
    """Have namespaces for a test. Skips without them."""
    why = _missing()
    need("netns", not why, f"no network namespaces: {why}")
    made = Namespaces(names)
    try:
        made.open()
        yield made
    finally:
        made.close()
