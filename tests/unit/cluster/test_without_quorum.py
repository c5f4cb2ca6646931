"""Doors of nodes that hear no majority: what they refuse, what they don't know, what is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from actors import addresses
from actors.core.peers import Peers
from actors.core.sealing import Vault
from actors.core.spec import parse_job
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.errors import NoQuorum, OutcomeUnknown
from actors.model import keys
from actors.model.ids import make_id
from actors.replica_messages import Barrier, SubmitTxn
from actors.runtime import Context, Effects, LoopActor, LoopHost, Reply, handles
from jobd.api.gateway import RequestKey, Submitted
from jobd.node.gateway import NodeGateway
from tests.unit.http.memory_audit import MemoryBox

SPEC = parse_job(b'{"name": "j", "type": "command", "shell": "true"}', now_ms=0)
TIMEOUT_MS = 200


class Order:
    """One order of transactions for all nodes, as consensus gives it."""

    def __init__(self) -> None:
        self.states: list[State] = []

    def apply(self, txn: Txn) -> Any:
        results = [state.apply(txn) for state in self.states]
        return results[0]


class Replica(LoopActor):
    """A node's replica; while `is_deaf`, what it orders is ordered and never answered."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self._order = order
        self.is_deaf = False
        self.submitted = 0

    @handles(SubmitTxn)
    def submit(self, message: SubmitTxn, context: Context) -> Effects:
        assert context.reply is not None
        self.submitted += 1
        result = self._order.apply(message.txn)
        return None if self.is_deaf else [Reply(context.reply, result)]

    @handles(Barrier)
    def barrier(self, message: Barrier, context: Context) -> Effects:
        assert context.reply is not None
        return None if self.is_deaf else [Reply(context.reply)]


class Node:
    """A door over a replica."""

    def __init__(self, name: str, order: Order) -> None:
        self.host = LoopHost()
        self.state = State()
        order.states.append(self.state)
        self.host.spawn(lambda: Replica(order), addresses.REPLICA)
        self.replica = cast(Replica, self.host.cells[addresses.REPLICA].actor)
        self.peers = Peers(name)
        self.hears(True)
        number = iter(range(1, 1_000))
        self.gateway = NodeGateway(
            self.host,
            self.state,
            clock=self.host.clock,
            new_id=lambda: make_id(self.host.clock.now_ms(), next(number)),
            artifacts=cast(Any, None),
            peers=self.peers,
            failure_timeout_ms=TIMEOUT_MS,
            source=cast(Any, None),
            cluster=cast(Any, None),
            vault=Vault(self.state, name, lambda: MemoryBox(Path("/nowhere"))),
            audit=cast(Any, None),
            past=cast(Any, None),
        )

    def hears(self, majority: bool) -> None:
        now_ms = int(self.host.clock.monotonic_s() * 1000)
        self.peers.update(
            voters=("n1", "n2", "n3"),
            alive=frozenset({"n1", "n2", "n3"}),
            leader="n1",
            isolated_since_ms=None if majority else now_ms,
            conditions=(),
            keeps_time=True,
        )

    async def submit(self, key: str) -> Submitted:
        return await self.gateway.submit_job(
            SPEC, principal="t", idempotency_key=key, body_hash="h"
        )


def run(scenario: Callable[[Node, Node], Coroutine[Any, Any, None]]) -> None:
    async def act() -> None:
        order = Order()
        a, b = Node("n1", order), Node("n2", order)
        try:
            await scenario(a, b)
        finally:
            await a.host.shutdown()
            await b.host.shutdown()

    asyncio.run(act())


def new_key(node: Node) -> str:
    return make_id(node.host.clock.now_ms(), 77)


@pytest.mark.parametrize("key_of", [new_key, lambda _: "my-own-key"])
def test_what_has_no_answer_is_unknown_and_safe_to_repeat(key_of: Callable[[Node], str]) -> None:
    async def scenario(a: Node, b: Node) -> None:
        key = key_of(a)
        a.replica.is_deaf = True
        sent = asyncio.ensure_future(a.submit(key))
        await asyncio.sleep(0.05)
        a.hears(False)
        began = asyncio.get_running_loop().time()
        with pytest.raises(OutcomeUnknown) as unknown:
            await sent
        assert asyncio.get_running_loop().time() - began < 2
        assert unknown.value.idempotency_key == key
        again = await b.submit(key)
        assert again.replayed
        assert again.job_id == unknown.value.job_id
        assert a.state.count("job") == b.state.count("job") == 1

    run(scenario)


def test_who_is_cut_off_submits_nothing() -> None:
    async def scenario(a: Node, b: Node) -> None:
        a.hears(False)
        await asyncio.sleep(TIMEOUT_MS / 1000 + 0.02)
        with pytest.raises(NoQuorum):
            await a.submit(new_key(a))
        with pytest.raises(NoQuorum):
            await a.gateway.emit_event("t", "", {}, request=RequestKey("t", None, ""))
        with pytest.raises(NoQuorum):
            await a.gateway.barrier()
        assert a.replica.submitted == 0
        a.hears(True)
        assert not (await a.submit(new_key(a))).replayed
        await a.gateway.barrier()

    run(scenario)


def test_who_is_cut_off_still_replays_what_it_knows() -> None:
    async def scenario(a: Node, b: Node) -> None:
        key = new_key(a)
        made = await b.submit(key)
        a.hears(False)
        await asyncio.sleep(TIMEOUT_MS / 1000 + 0.02)
        again = await a.submit(key)
        assert (again.job_id, again.replayed) == (made.job_id, True)
        assert a.state.get(keys.job(made.job_id)) is not None

    run(scenario)


def test_a_linearizable_read_ends_when_contact_does() -> None:
    async def scenario(a: Node, b: Node) -> None:
        a.replica.is_deaf = True
        asked = asyncio.ensure_future(a.gateway.barrier())
        await asyncio.sleep(0.02)
        a.hears(False)
        with pytest.raises(NoQuorum):
            await asked

    run(scenario)
