"""The mesh: nodes that dial each other, in this process, over tcp on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from actors import limits
from actors.errors import ActorUnavailable, DeadLetter, Forbidden
from actors.runtime import Invoke, LoopHost, Terminated
from actors.runtime.hello import Hello
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from tests.integration.runtime.mesh_node import MeshNode
from tests.integration.runtime.test_broken_links import Proxy
from tests.integration.runtime.test_clients import Numbers, until
from tests.integration.runtime.test_link import Friend
from tests.unit.runtime.messages import Bang, Count, Counter


class Nodes:
    """Nodes of one process, closed in the end."""

    def __init__(self) -> None:
        self._made: list[MeshNode] = []
        self._proxies: list[Proxy] = []

    def node(self, name: str, incarnation: int = 1, **options: Any) -> MeshNode:
        made = MeshNode(name, incarnation, **options)
        self._made.append(made)
        return made

    async def pair(self, *, both: bool = True, **options: Any) -> tuple[MeshNode, MeshNode]:
        """Return two linked nodes, of which the first dials, or both."""
        a, b = self.node("a", **options), self.node("b", **options)
        a.mesh.connect("b", b.address)
        if both:
            b.mesh.connect("a", a.address)
        await linked(a, b)
        return a, b

    def proxy(self, to: MeshNode) -> Proxy:
        made = Proxy(to.link.endpoint)
        self._proxies.append(made)
        return made

    async def close(self) -> None:
        for node in self._made:
            await node.close()
        for proxy in self._proxies:
            await proxy.close()
            while proxy.serves:  # a connection that came last may only be under way
                proxy.cut()
                await asyncio.sleep(0.01)


async def linked(a: MeshNode, b: MeshNode) -> None:
    await until(lambda: b.name in a.mesh.linked() and a.name in b.mesh.linked(), 20)


def run(scenario: Callable[[Nodes], Awaitable[None]]) -> None:
    @contextlib.asynccontextmanager
    async def nodes() -> AsyncIterator[Nodes]:
        made = Nodes()
        try:
            yield made
        finally:
            await made.close()

    async def main() -> None:
        async with nodes() as made:
            await asyncio.wait_for(scenario(made), 30)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)


@pytest.mark.parametrize("both", [True, False], ids=["both dial", "one dials"])
def test_nodes_talk_both_ways(both: bool) -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair(both=both)
        assert await a.host.ask("jobd://b/counter", Count()) == 1
        assert await b.host.ask("jobd://a/counter", Count()) == 1
        for _ in range(500):
            b.host.tell("jobd://a/counter", Count())
        assert await b.host.ask("jobd://a/counter", Count()) == 502
        numbers = a.host.stream("jobd://b/producer", Numbers(200))
        assert [each async for each in numbers] == list(range(200))
        assert a.log == [("up", "b")]
        assert b.log == [("up", "a")]

    run(scenario)


def test_a_node_reaches_itself_by_its_own_address() -> None:
    async def scenario(nodes: Nodes) -> None:
        a = nodes.node("a")
        assert await a.host.ask("jobd://a/counter", Count()) == 1
        with pytest.raises(DeadLetter):
            await a.host.ask("jobd://a/nobody", Count())

    run(scenario)


def test_bytes_take_the_bulk_lane() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair(both=False)
        await until(lambda: a.link.peers["b"].bulk and b.link.peers["a"].bulk)
        blob = bytes(1024 * 1024)
        for source, target in ((a, "b"), (b, "a")):
            assert await source.host.ask(f"jobd://{target}/echo", Invoke("any", (blob,))) == blob

    run(scenario)


def test_one_connection_breaks_and_the_other_goes_on() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b")
        to_a, to_b = nodes.proxy(a), nodes.proxy(b)
        a.mesh.connect("b", (await to_b.start()).removeprefix("tcp://"))
        b.mesh.connect("a", (await to_a.start()).removeprefix("tcp://"))
        await linked(a, b)
        await until(lambda: len(a.link.peers["b"].lanes) == 4)
        answers = []
        for proxy in (to_a, to_b, to_a, to_b):
            futures = [a.host.ask("jobd://b/counter", Count()) for _ in range(100)]
            futures += [b.host.ask("jobd://a/counter", Count()) for _ in range(100)]
            await asyncio.sleep(0.002)
            proxy.cut()
            answers += [await future for future in futures]
            await until(lambda: len(a.link.peers["b"].lanes) == 4)
        assert sorted(answers) == sorted([*range(1, 401)] * 2)  # each done once, none lost
        assert a.log == [("up", "b")]
        assert b.log == [("up", "a")]

    run(scenario)


def test_a_lost_node_is_found_again_and_asks_meanwhile_fail_at_once() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a", silence_s=0.5), nodes.node("b", silence_s=0.5)
        proxy = nodes.proxy(b)
        a.mesh.connect("b", (await proxy.start()).removeprefix("tcp://"))
        await linked(a, b)
        friend = Friend("jobd://b/counter")
        a.host.spawn(lambda: friend, "jobd://a/friend")
        a.host.tell("jobd://a/friend", Count())
        await until(lambda: friend.got)
        proxy.hold()
        pending = a.host.ask("jobd://b/counter", Count())
        with pytest.raises(ActorUnavailable, match="silent") as caught:
            await pending
        assert caught.value.maybe_executed
        await until(lambda: not b.mesh.linked())
        await until(lambda: isinstance(friend.got[-1], Terminated))
        with pytest.raises(ActorUnavailable, match="no link") as caught:
            await a.host.ask("jobd://b/counter", Count())
        assert not caught.value.maybe_executed
        a.host.tell("jobd://b/counter", Count())  # dropped
        assert not a.host.dead_letters.rows()
        proxy.let_go()
        proxy.cut()
        await linked(a, b)
        assert b.counter.sum == 1  # what was held went down with its connection
        assert [line[0] for line in a.log] == ["up", "down", "up"]

    run(scenario)


def test_a_node_that_ends_is_lost_at_once() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair()
        b.link.close()
        await until(lambda: not a.mesh.linked(), limits.PEER_TIMEOUT_S - 1)  # none is waited for
        assert a.log[-1][:2] == ("down", "b")
        with pytest.raises(DeadLetter):
            await a.host.ask("jobd://stranger/counter", Count())
        b.link = nodes.node("b", 2).link  # for close

    run(scenario)


def test_a_new_incarnation_takes_the_place_of_the_old_one() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair(both=False)
        pending = a.host.ask("jobd://b/nobody", Count())
        with pytest.raises(DeadLetter):
            await pending
        newer = nodes.node("b", 2)
        newer.mesh.connect("a", a.address)
        await until(lambda: a.link.peers["b"].incarnation == 2)
        await linked(a, newer)
        assert await newer.host.ask("jobd://a/counter", Count()) == 1
        assert await a.host.ask("jobd://b/counter", Count()) == 1
        assert newer.counter.sum == 1
        assert b.counter.sum == 0
        # The old one, which still runs, is fenced.
        b.mesh.connect("a", a.address)
        await until(lambda: any("newer process" in str(each.error) for each in a.refusals))
        assert a.link.peers["b"].incarnation == 2

    run(scenario)


def test_a_copied_data_directory_is_refused() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, _ = await nodes.pair(both=False)
        copy = nodes.node("b", 1)
        copy.mesh.connect("a", a.address)
        await until(lambda: a.refusals)
        assert "copied" in str(a.refusals[0].error)
        await until(lambda: "copied" in copy.mesh.rows()[0].error)
        own = nodes.node("a", 1)
        own.mesh.connect("", a.address)
        await until(lambda: any("two nodes are a" in str(each.error) for each in a.refusals))

    run(scenario)


def test_a_node_that_dials_itself_lets_it_be() -> None:
    async def scenario(nodes: Nodes) -> None:
        a = nodes.node("a")
        a.mesh.connect("", a.address)
        await until(lambda: not a.mesh.rows())
        assert not a.link.lanes
        assert not a.refusals

    run(scenario)


def test_two_addresses_of_a_node_are_dialled_as_one() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b")
        proxy = nodes.proxy(b)
        other = (await proxy.start()).removeprefix("tcp://")
        a.mesh.connect("", b.address)
        a.mesh.connect("", other)
        a.mesh.connect("b", b.address)
        await linked(a, b)
        await until(lambda: len(a.mesh.rows()) == 1)
        assert a.mesh.node_at(b.address) == a.mesh.node_at(other) == "b"
        assert a.log == [("up", "b")]

    run(scenario)


def test_another_node_than_was_expected_is_not_linked() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b")
        a.mesh.connect("c", b.address)
        await until(lambda: a.refusals)
        assert "b is at" in str(a.refusals[0].error)
        assert not a.mesh.linked()

    run(scenario)


def test_nodes_of_other_clusters_and_other_versions_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b", cluster="c2")
        b.mesh.connect("a", a.address)
        await until(lambda: a.refusals)
        assert "cluster" in str(a.refusals[0].error)
        await until(lambda: "cluster" in b.mesh.rows()[0].error)
        for oldest, is_in in ((1, True), (2, False)):
            a.refusals.clear()
            c = nodes.node(f"n{oldest}")
            say_of_today = c.mesh.hello

            def say(
                name: str, oldest: int = oldest, was: Callable[[str], Hello] = say_of_today
            ) -> Hello:
                return msgspec.structs.replace(was(name), min_version=oldest, max_version=9)

            monkeypatch.setattr(c.mesh, "hello", say)
            c.mesh.connect("a", a.address)
            if is_in:
                await linked(a, c)
                continue
            await until(lambda: a.refusals)
            assert "versions 2 to 9" in str(a.refusals[0].error)

    run(scenario)


def test_a_guest_reaches_the_doors_for_guests_only() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b", cluster="")
        b.mesh.connect("", a.address)
        await until(lambda: b.mesh.guests() and a.mesh.guests())
        assert b.mesh.node_at(a.address) == "a"
        assert await b.host.ask("jobd://a/join", Count()) == 1
        for source, target in ((b, "a"), (a, "b")):
            with pytest.raises(Forbidden, match="guests"):
                await source.host.ask(f"jobd://{target}/counter", Count())
        numbers = b.host.stream("jobd://a/producer", Numbers(1))
        with pytest.raises(Forbidden, match="guests"):
            await anext(numbers)
        friend = Friend("jobd://a/counter")
        b.host.spawn(lambda: friend, "jobd://b/friend")
        b.host.tell("jobd://b/friend", Count())
        await until(lambda: any(isinstance(each, Terminated) for each in friend.got))
        assert not a.mesh.linked() | b.mesh.linked()
        b.mesh.belong("c1")
        await linked(a, b)
        assert not a.mesh.guests() | b.mesh.guests()
        assert await b.host.ask("jobd://a/counter", Count()) == 1

    run(scenario)


def test_a_node_that_is_admitted_no_more_is_put_out() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair()
        a.banned["b"] = Forbidden("its key was taken away")
        await until(lambda: not a.mesh.linked() and not b.mesh.linked())
        await until(lambda: "taken away" in b.mesh.rows()[0].error)
        a.banned.clear()
        await linked(a, b)

    run(scenario)


def test_a_forgotten_node_is_dialled_no_more() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair(both=False)
        a.mesh.forget("b")
        assert not a.mesh.rows()
        await until(lambda: not b.mesh.linked())
        await asyncio.sleep(0.3)
        assert not a.mesh.linked() | b.mesh.linked()

    run(scenario)


def test_tells_to_a_node_that_does_not_read_take_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "NODE_OUTBOX_BYTES", 64 * 1024)

    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a"), nodes.node("b")
        proxy = nodes.proxy(b)
        a.mesh.connect("b", (await proxy.start()).removeprefix("tcp://"))
        await linked(a, b)
        b.counter.log.clear()
        proxy.hold()
        peer = a.link.peers["b"]
        lane = peer.lane
        padded = Bang("x" * 10_000)
        for _ in range(5_000):
            a.host.tell("jobd://b/nobody", padded)
            await asyncio.sleep(0)
        wire = a.link.wire_of(lane)
        waiting = wire._outboxes.get(lane)
        assert waiting is None or waiting.size < 2 * limits.NODE_OUTBOX_BYTES
        assert a.mesh.rows()[0].dropped > 0
        proxy.let_go()
        assert await a.host.ask("jobd://b/counter", Count(), timeout_s=20) > 0

    run(scenario)


def test_a_process_that_was_stopped_accuses_nobody() -> None:
    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair(silence_s=0.3)
        time.sleep(1)  # the loop of both: what each has not heard since is its own fault
        await asyncio.sleep(0.5)
        assert a.log == [("up", "b")]
        assert b.log == [("up", "a")]

    run(scenario)


def test_a_client_cannot_take_a_nodes_place() -> None:
    """A client that has taken a node's name makes way for it, and is never counted as linked."""

    async def scenario(nodes: Nodes) -> None:
        a, b = nodes.node("a", tokens=("any",)), nodes.node("b")
        thief = LoopHost()
        thief.spawn(Counter, "jobd://b/counter")
        link = Link(
            thief,
            a.link.endpoint,
            node="b",
            incarnation=5,
            vocabulary=Vocabulary([Count]),
            token="any",
        )
        await link.ready
        assert not a.mesh.linked()
        b.mesh.connect("a", a.address)
        await linked(a, b)
        assert await a.host.ask("jobd://b/counter", Count()) == 1
        assert b.counter.sum == 1
        link.close()
        await thief.shutdown()

    run(scenario)


def test_hellos_have_a_place_for_later_fields() -> None:
    hello = Hello("n1", 1, role="node", cluster="c1")
    longer = [*msgspec.msgpack.decode(msgspec.msgpack.encode(hello)), "a later field"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(longer), type=Hello) == hello
