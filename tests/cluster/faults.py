"""The faults of a cluster, each of one node, and an order of them drawn by chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.cluster.cluster import Cluster, ClusterNode
from tests.cluster.disk import Forgetful
from tests.cluster.trace import Trace

__all__ = ["DISK_FAULTS", "FAULTS", "Faults"]

Fault = Callable[["Faults", ClusterNode, float], None]


class Faults:
    """Breaks one node at a time and mends it again, so a majority is always whole.

    With disks that forget there are faults of these too, one of which is of all nodes.
    """

    def __init__(
        self, cluster: Cluster, trace: Trace, seed: int = 0, disks: Sequence[Forgetful] = ()
    ) -> None:
        self._cluster = cluster
        self._trace = trace
        self._disks = disks
        self._rng = random.Random(seed)

    def one(self, kind: str, node: ClusterNode, seconds: float) -> None:
        """Have one fault for a time."""
        self._trace.write("fault", what=kind, node=node.name, seconds=round(seconds, 1))
        self._trace.counts[f"fault {kind}"] += 1
        (FAULTS | DISK_FAULTS)[kind](self, node, seconds)

    def any(self, seconds: float) -> None:
        """Have a fault drawn by chance for up to a time."""
        kind = self._rng.choice([*FAULTS, *(DISK_FAULTS if self._disks else ())])
        self.one(kind, self._rng.choice(self._cluster.nodes), self._rng.uniform(0.2, 1) * seconds)

    def kill(self, node: ClusterNode, seconds: float) -> None:
        """Kill -9 of the node; its jobs go on meanwhile."""
        node.kill()
        time.sleep(seconds)
        node.launch()
        self._cluster.await_ready()

    def crash(self, node: ClusterNode, seconds: float) -> None:
        """The machine dies, with all that runs on it."""
        node.lose_power()
        time.sleep(seconds)
        node.launch()
        self._cluster.await_ready()

    def freeze(self, node: ClusterNode, seconds: float) -> None:
        """SIGSTOP, then SIGCONT."""
        node.freeze()
        time.sleep(seconds)
        node.thaw()

    def part(self, node: ClusterNode, seconds: float) -> None:
        """Cut off both ways."""
        self._cluster.cut_off(node)
        time.sleep(seconds)
        self._cluster.heal()

    def deafen(self, node: ClusterNode, seconds: float) -> None:
        """It is heard and hears nothing."""
        self._cluster.cut_off(node, speaks=True)
        time.sleep(seconds)
        self._cluster.heal()

    def silence(self, node: ClusterNode, seconds: float) -> None:
        """It hears and is not heard."""
        self._cluster.cut_off(node, hears=True)
        time.sleep(seconds)
        self._cluster.heal()

    def flap(self, node: ClusterNode, seconds: float) -> None:
        """Cut off and back, again and again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._cluster.cut_off(node)
            time.sleep(self._rng.uniform(0.1, 1.5))
            self._cluster.heal()
            time.sleep(self._rng.uniform(0.1, 1.5))

    def power_loss(self, node: ClusterNode, seconds: float) -> None:
        """Everything dies at once; what was not synced is gone, or the last of it."""
        for each in self._cluster.nodes:
            each.freeze()  # all at the same moment
        for each in self._cluster.nodes:
            each.lose_power()
        command = self._rng.choice(("drop", f"tear {self._rng.random()}"))
        for disk in self._disks:
            disk.say(command)
        self._cluster.recover()

    def failing_disk(self, node: ClusterNode, seconds: float) -> None:
        """No sync of a node's disk works: it ends by itself, and comes back when it does."""
        disk = self._disks[self._cluster.nodes.index(node)]
        disk.say("fail")
        node.exit_code()
        node.lose_power()
        disk.say("drop")
        disk.say("mend")
        time.sleep(seconds)
        node.launch()
        self._cluster.await_ready()


FAULTS: Final[dict[str, Fault]] = {
    "kill -9": Faults.kill,
    "crash": Faults.crash,
    "SIGSTOP": Faults.freeze,
    "partition": Faults.part,
    "deaf": Faults.deafen,
    "mute": Faults.silence,
    "flapping": Faults.flap,
}
DISK_FAULTS: Final[dict[str, Fault]] = {
    "power loss of all": Faults.power_loss,
    "fsync fails": Faults.failing_disk,
}
