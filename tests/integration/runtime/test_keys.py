"""Encrypted links: who gets in with which key, and what becomes of who says nothing."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import zmq

from actors import limits
from actors.errors import Forbidden
from actors.runtime import Invoke, LoopHost
from actors.runtime.curve import Curve, key_of_text, new_curve, public_of
from actors.runtime.keys import Keys
from actors.runtime.link import Link
from actors.runtime.origin import Origin
from actors.runtime.vocabulary import Vocabulary
from tests.integration.runtime.mesh_node import MeshNode
from tests.integration.runtime.test_clients import until
from tests.integration.runtime.test_mesh import Nodes, linked, run
from tests.unit.runtime.messages import Count

SERVER = new_curve()


class Ring:
    """Whom keys admit, and the pairs of some."""

    def __init__(self) -> None:
        self.roles: dict[bytes, str] = {}

    def pair(self, role: str = "") -> Curve:
        made = new_curve()
        if role:
            self.roles[made.public] = role
        return made

    def keys(self, own: Curve) -> Keys:
        return Keys(own, lambda key: self.roles.get(key, ""))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)


def client(to: MeshNode, keys: Keys | None, token: str = "t") -> tuple[LoopHost, Link]:
    host = LoopHost()
    link = Link(
        host,
        to.link.endpoint,
        node="c",
        incarnation=1,
        vocabulary=Vocabulary([Count]),
        token=token,
        keys=keys,
    )
    return host, link


def test_a_key_is_its_text_and_its_secret_part_tells_it() -> None:
    assert key_of_text(SERVER.public.hex()) == SERVER.public
    assert public_of(SERVER.secret) == SERVER.public
    with pytest.raises(Exception, match="no key"):
        key_of_text("abc")


def test_nodes_that_know_each_others_keys_are_linked() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        pairs = {name: ring.pair("node") for name in "ab"}
        a, b = (nodes.node(name, keys=ring.keys(pairs[name])) for name in "ab")
        a.mesh.connect("b", b.address, pairs["b"].public)
        b.mesh.connect("a", a.address, pairs["a"].public)
        await linked(a, b)
        await until(lambda: len(a.link.peers["b"].lanes) == 4)
        assert a.link.peers["b"].origin.key == pairs["b"].public
        assert b.link.peers["a"].origin.key == pairs["a"].public
        blob = bytes(1024 * 1024)
        assert await a.host.ask("jobd://b/echo", Invoke("any", (blob,))) == blob
        assert await b.host.ask("jobd://a/counter", Count()) == 1
        # A key that is taken off the list ends its links, and gets in no more.
        del ring.roles[pairs["b"].public]
        await until(lambda: not a.mesh.linked() and not b.mesh.linked())
        await until(lambda: "doesn't know this node's key" in b.mesh.rows()[0].error)
        ring.roles[pairs["b"].public] = "node"
        await linked(a, b)

    run(scenario)


def test_an_unknown_key_is_refused_before_it_says_a_word() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        known, unknown = ring.pair("node"), ring.pair()
        a = nodes.node("a", keys=ring.keys(known))
        b = nodes.node("b", keys=Keys(unknown))
        b.mesh.connect("a", a.address, known.public)
        await until(lambda: "doesn't know this node's key" in b.mesh.rows()[0].error)
        assert not a.refusals
        assert not a.link.peers

    run(scenario)


@pytest.mark.parametrize("key", [b"", new_curve().public], ids=["none", "another"])
def test_a_node_that_expects_another_key_is_not_linked(key: bytes) -> None:
    """Without the right key of who answers there is no handshake: an impostor learns nothing."""

    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        pairs = {name: ring.pair("node") for name in "ab"}
        a, b = (nodes.node(name, keys=ring.keys(pairs[name])) for name in "ab")
        a.mesh.connect("b", b.address, key)
        await asyncio.sleep(0.5)
        assert not a.mesh.linked() | b.mesh.linked()
        assert not b.refusals
        a.mesh.connect("b", b.address, pairs["b"].public)
        await linked(a, b)

    run(scenario)


def test_a_key_of_one_role_is_none_of_another() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        own, laptop, other = ring.pair("node"), ring.pair("client"), ring.pair("node")
        a = nodes.node("a", keys=ring.keys(own), tokens=("t",))
        posing = nodes.node("b", keys=Keys(laptop))
        posing.mesh.connect("a", a.address, own.public)
        await until(lambda: a.refusals)
        assert "a client's, not a node's" in str(a.refusals[0].error)
        a.refusals.clear()
        host, link = client(a, Keys(other.to(own.public)))
        with pytest.raises(Forbidden, match="a node's, not a client's"):
            await link.ready
        link.close()
        host, link = client(a, Keys(laptop.to(own.public)))
        assert await link.ready == "a"
        assert await host.ask("jobd://a/echo", Invoke("any", (1,))) == 1
        del ring.roles[laptop.public]
        await until(lambda: not a.link.peers)
        link.close()
        await host.shutdown()

    run(scenario)


def test_a_client_needs_its_token_besides() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        own, laptop = ring.pair("node"), ring.pair("client")
        a = nodes.node("a", keys=ring.keys(own), tokens=("t",))
        host, link = client(a, Keys(laptop.to(own.public)), token="wrong")
        with pytest.raises(Exception, match="token"):
            await link.ready
        link.close()
        await host.shutdown()

    run(scenario)


def test_who_comes_without_encryption_is_not_heard() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        a = nodes.node("a", keys=ring.keys(ring.pair("node")), tokens=("t",))
        host, link = client(a, None)
        b = nodes.node("b")
        b.mesh.connect("a", a.address)
        await asyncio.sleep(1)
        assert not link.ready.done
        assert not a.link.lanes
        assert not a.refusals
        assert not b.mesh.linked()
        link.close()
        await host.shutdown()

    run(scenario)


def test_a_join_token_admits_a_guest_and_nobody_else() -> None:
    async def scenario(nodes: Nodes) -> None:
        ring = Ring()
        own, joining, ticket = ring.pair("node"), ring.pair(), ring.pair("joiner")
        a = nodes.node("a", keys=ring.keys(own))
        b = nodes.node("b", cluster="", keys=ring.keys(joining))
        b.mesh.connect("", a.address, own.public, curve=ticket)
        await until(lambda: b.mesh.guests())
        assert await b.host.ask("jobd://a/join", Count()) == 1
        with pytest.raises(Forbidden, match="guests"):
            await b.host.ask("jobd://a/counter", Count())
        b.mesh.belong("c1")  # it is a guest as long as it comes with the token
        await until(lambda: any("join token" in str(each.error) for each in a.refusals))
        assert not a.mesh.linked()
        b.mesh.belong("")
        await until(lambda: a.mesh.guests())
        del ring.roles[ticket.public]  # used up: its connections end with it
        await until(lambda: not a.mesh.guests())
        ring.roles[joining.public] = "node"
        b.mesh.belong("c1")
        b.mesh.connect("", a.address, own.public)
        await linked(a, b)

    run(scenario)


def test_without_keys_a_connection_is_vouched_for_by_its_ends() -> None:
    async def scenario(nodes: Nodes) -> None:
        seen: list[Origin] = []

        def vouch(origin: Origin) -> None:
            seen.append(origin)
            if len(seen) == 1:
                raise Forbidden("another user's")

        a, b = nodes.node("a", vouch=vouch), nodes.node("b")
        b.mesh.connect("a", a.address)
        await until(lambda: a.refusals)
        await until(lambda: a.mesh.linked(), 10)
        assert f"127.0.0.1:{seen[0].local[1]}" == a.address
        assert seen[0].remote[0] == "127.0.0.1"
        assert seen[0].remote != seen[1].remote

    run(scenario)


def test_who_says_no_hello_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELLO_S", 0.5)

    async def scenario(nodes: Nodes) -> None:
        a, b = await nodes.pair()
        before = a.link.callers.cut  # on a busy machine a lane of b's may have been slow, too
        context = zmq.Context()
        mute = context.socket(zmq.DEALER)
        mute.linger = 0
        mute.setsockopt(zmq.RECONNECT_IVL, -1)
        monitor = mute.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        mute.connect(a.link.endpoint)
        began = time.monotonic()
        await until(lambda: monitor.poll(0))
        monitor.recv_multipart()
        await until(lambda: monitor.poll(0))
        assert 0.4 < time.monotonic() - began < 5
        assert a.link.callers.cut > before
        await asyncio.sleep(0.7)  # who has said hello stays
        assert a.log == [("up", "b")]
        assert await b.host.ask("jobd://a/counter", Count()) == 1
        mute.disable_monitor()
        monitor.close()
        mute.close()
        context.term()

    run(scenario)


def test_connections_of_an_address_are_bounded_until_they_say_hello(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "UNGREETED_PER_ADDRESS", 20)
    monkeypatch.setattr(limits, "HELLO_S", 60)

    async def scenario(nodes: Nodes) -> None:
        a = nodes.node("a")
        host, _, port = a.address.rpartition(":")
        flood = [socket.create_connection((host, int(port))) for _ in range(100)]
        await until(lambda: a.link.callers.cut >= 80, 20)
        for each in flood:
            each.close()
        b = nodes.node("b")
        b.mesh.connect("a", a.address)
        await linked(a, b)
        await until(lambda: not a.link.callers._ungreeted)

    run(scenario)


def test_words_before_a_hello_are_bounded() -> None:
    async def scenario(nodes: Nodes) -> None:
        a = nodes.node("a")
        context = zmq.Context()
        strange = context.socket(zmq.DEALER)
        strange.linger = 0
        strange.connect(a.link.endpoint)
        for _ in range(500):
            strange.send_multipart([b"\x91\x01", bytes(limits.HELLO_BYTES + 1)])
            await asyncio.sleep(0)
        await until(lambda: len(a.refusals) == 500)
        assert not a.link.lanes
        strange.close()
        context.term()

    run(scenario)
