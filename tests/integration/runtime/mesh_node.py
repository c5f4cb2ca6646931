"""Nodes of a mesh for its tests, in this process or as one of its own.

Run: `python -m tests.integration.runtime.mesh_node NAME INCARNATION HOST:PORT [PEER…]`, a peer as
NAME@HOST:PORT or HOST:PORT. It prints what its links do, a line each.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import uvloop

from actors.errors import JobdError, Unauthenticated
from actors.runtime import Invoke, LoopHost, Principal
from actors.runtime.hello import Hello
from actors.runtime.keys import Keys
from actors.runtime.link import Link, Refusal
from actors.runtime.mesh import Mesh
from actors.runtime.origin import Origin
from actors.runtime.vocabulary import Vocabulary
from tests.integration.runtime.client import Echo
from tests.integration.runtime.test_clients import Numbers, Producer
from tests.unit.runtime.messages import Bang, Count, Counter, Finish

__all__ = ["SILENCE_S", "MeshNode"]

SILENCE_S = 2.5  # of a process of its own


class MeshNode:
    """A node with a counter, a producer, an echo and a counter for guests; `log` has its links."""

    def __init__(
        self,
        name: str,
        incarnation: int = 1,
        *,
        cluster: str = "c1",
        endpoint: str = "tcp://127.0.0.1:*",
        silence_s: float = 5.0,
        keys: Keys | None = None,
        tokens: tuple[str, ...] = (),
        vouch: Callable[[Origin], None] | None = None,
    ) -> None:
        self.name = name
        self.host = LoopHost()
        self.counter = Counter()
        self.host.spawn(lambda: self.counter, "/counter")
        self.host.spawn(Counter, "/join")
        self.host.spawn(Producer, "/producer")
        self.host.spawn(Echo, "/echo")
        vocabulary = Vocabulary([Bang, Count, Finish, Numbers])
        vocabulary.expose(Invoke, "read")
        self.refusals: list[Refusal] = []
        self.log: list[tuple[str, ...]] = []
        self.banned: dict[str, JobdError] = {}
        self.link = Link(
            self.host,
            endpoint,
            node=name,
            incarnation=incarnation,
            vocabulary=vocabulary,
            admit=self._admit_client,
            on_refused=self.refusals.append,
            keys=keys,
        )
        self._tokens = tokens
        self.mesh = Mesh(
            self.link,
            cluster=cluster,
            admit=self._admit,
            vouch=vouch,
            on_up=lambda node: self.log.append(("up", node)),
            on_down=lambda node, reason: self.log.append(("down", node, reason)),
            on_guest=lambda node: self.log.append(("guest", node)),
            silence_s=silence_s,
        )

    def _admit_client(self, hello: Hello) -> Principal:
        if hello.token not in self._tokens:
            raise Unauthenticated("no such token")
        return Principal(hello.token, frozenset({"read"}))

    def _admit(self, hello: Hello, key: bytes) -> None:
        if hello.node in self.banned:
            raise self.banned[hello.node]

    @property
    def address(self) -> str:
        return self.link.endpoint.removeprefix("tcp://")

    async def close(self) -> None:
        self.link.close()
        await self.host.shutdown()


async def main(name: str, incarnation: str, address: str, *peers: str) -> None:
    node = MeshNode(name, int(incarnation), endpoint=f"tcp://{address}", silence_s=SILENCE_S)
    say = sys.stdout.write
    say(f"{node.address}\n")
    for peer in peers:
        known, _, address = peer.rpartition("@")
        node.mesh.connect(known, address)
    told = 0
    while True:
        for line in node.log[told:]:
            say(" ".join(line) + "\n")
        sys.stdout.flush()
        told = len(node.log)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
