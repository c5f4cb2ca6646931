"""A few chains that talk to each other at once and lose nothing: for tests of what they do."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from actors.core.consensus.chain import Chain
from actors.core.consensus.group import (
    Alive,
    Behind,
    Imaged,
    Input,
    Read,
    Receive,
    Reconfigure,
    Submit,
    Synced,
    Tick,
)
from actors.core.consensus.messages import Packet
from actors.core.consensus.recovery_of_log import Recovery, found
from actors.core.ports import LogEntry
from actors.core.store.state import State
from actors.core.store.txn import Committed, Result, Txn
from actors.errors import JobdError
from actors.model.codec import encode
from actors.model.epoch import Epoch, Member

__all__ = ["CLUSTER", "Cluster", "epoch_of", "put"]

CLUSTER = "c"
_TICK_MS = 20


def epoch_of(*nodes: str, quorum_size: int, number: int = 1) -> Epoch:
    return Epoch(number, CLUSTER, tuple(Member(node) for node in nodes), quorum_size)


def put(key: str, value: str = "v") -> Txn:
    return Txn((), ((f"kv/t/{key}", encode(value.encode())),))


class Image(NamedTuple):
    floor: int
    position: bytes
    revision: int
    rows: list[tuple[str, int, bytes]]
    sessions: bytes


class Node:
    def __init__(self, name: str, log: list[LogEntry]) -> None:
        self.name = name
        self.log = log  # from its first record on
        self.image = Image(0, b"", 0, [], b"")
        self.incarnation = 0
        self.boot()

    def boot(self) -> None:
        self.incarnation += 1
        self.state = State()
        self.answers: dict[int, Result | JobdError | None] = {}
        self.behind: Behind | None = None
        self.forwarded: list[Submit | Read] = []
        image = self.image
        self.state.restore(image.revision, image.rows, image.sessions)
        recovery = Recovery(self.name, CLUSTER, image.position, image.floor)
        for entry in self.log[image.floor :]:
            for batch in recovery.replay(entry):
                for txn in batch.txns:
                    self.state.apply(txn)
        self.chain: Chain = recovery.finish(len(self.log), self.incarnation)


class Cluster:
    """`cut` are pairs (from, to) between which nothing comes through."""

    def __init__(self, epoch: Epoch, *others: str) -> None:
        self.now_ms = 0
        self.cut: set[tuple[str, str]] = set()
        self.nodes: dict[str, Node] = {}
        self._queue: list[tuple[str, Input]] = []
        self._ticket = 0
        for name in (*epoch.nodes, *others):
            alone = epoch.nodes == (name,)
            self.nodes[name] = Node(name, [] if alone else [found(epoch)])

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def submit(self, name: str, txn: Txn) -> int:
        self._ticket += 1
        self.step(name, Submit(self._ticket, txn))
        return self._ticket

    def read(self, name: str) -> int:
        self._ticket += 1
        self.step(name, Read(self._ticket))
        return self._ticket

    def change(self, name: str, epoch: Epoch) -> int:
        self._ticket += 1
        self.step(name, Reconfigure(self._ticket, put("epoch", str(epoch.number)), epoch))
        return self._ticket

    def step(self, name: str, event: Input) -> None:
        node = self.nodes[name]
        effects = node.chain.step(event, self.now_ms)
        for to, packet in effects.send:
            if (name, to) not in self.cut and to in self.nodes:
                sent = msgspec.msgpack.decode(msgspec.msgpack.encode(packet), type=Packet)
                self._queue.append((to, Receive(name, sent)))
        for batch in effects.apply:
            for ticket, txn in zip(batch.tickets, batch.txns, strict=True):
                result = node.state.apply(txn)
                if ticket:
                    node.answers[ticket] = result
        node.answers.update(effects.refuse)
        node.answers.update(dict.fromkeys(effects.ready))
        node.forwarded += effects.forward
        node.behind = effects.behind or node.behind
        if effects.append:
            node.log += effects.append
            self._queue.append((name, Synced(effects.append[-1].index)))

    def settle(self, ms: int = 0) -> None:
        """Deliver all that is under way, and let time pass."""
        end_ms = self.now_ms + ms
        while True:
            while self._queue:
                self.step(*self._queue.pop(0))
            if self.now_ms >= end_ms:
                return
            self.now_ms += _TICK_MS
            for name in self.nodes:
                self.step(name, Tick())

    def believe(self, *alive: str) -> None:
        for name in self.nodes:
            nodes = frozenset({*alive, name})
            self.step(name, Alive(nodes, min(nodes)))

    def image(self, name: str) -> None:
        """Write a node's image, durably."""
        node = self.nodes[name]
        state, chain = node.state, node.chain
        rows = [(key, *value) for key, value in state._values.items()]
        node.image = Image(
            chain.log_floor, chain.position(), state.revision, rows, state.sessions.dump()
        )
        self.step(name, Imaged(chain.index))

    def restart(self, name: str) -> None:
        self._queue = [(to, event) for to, event in self._queue if to != name]
        self.nodes[name].boot()

    def committed(self, name: str, ticket: int) -> bool:
        return isinstance(self.nodes[name].answers.get(ticket), Committed)

    def digests(self) -> set[tuple[int, int]]:
        return {(node.chain.index, node.state.revision) for node in self.nodes.values()}
