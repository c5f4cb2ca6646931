"""Connections that break, stall and fill up: a proxy stands between client and node."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from actors import limits
from actors.errors import ActorUnavailable, Busy
from actors.runtime import (
    Context,
    Effects,
    Invoke,
    LoopActor,
    LoopFuture,
    LoopHost,
    Ping,
    Reply,
    Terminated,
    Watch,
    handles,
    wire,
)
from actors.runtime.link import Link
from tests.integration.runtime.test_clients import (
    Cluster,
    Echo,
    Numbers,
    Porter,
    Producer,
    run,
    until,
    vocabulary,
)
from tests.unit.runtime.messages import Count

WORDS = 30_000


class Watcher(LoopActor):
    """Watches the address that a call names."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @handles(Invoke)
    def watch(self, message: Invoke, context: Context) -> Effects:
        return [Watch(message.method)]

    @handles(Terminated)
    def note(self, message: Terminated, context: Context) -> None:
        self.ended.append(message.address)


class Wordy(LoopActor):
    """Answers a short question at length."""

    @handles(Invoke)
    def answer(self, message: Invoke, context: Context) -> Effects:
        return [Reply(context.reply, "x" * WORDS)]


class Proxy:
    """Carries bytes to a node, until it is told to cut or to hold them."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._writers: list[asyncio.StreamWriter] = []
        self._flows = asyncio.Event()
        self._returns = asyncio.Event()
        self.let_go()
        self.connections = 0
        self.serves = 0  # of them, now

    async def start(self) -> str:
        """Listen; return the endpoint."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serves += 1
        self._writers.append(writer)
        try:
            there, to_node = await asyncio.open_connection(*self._target)
            self._writers.append(to_node)
            await asyncio.gather(
                self._pass(reader, to_node, self._flows), self._pass(there, writer, self._returns)
            )
        except ConnectionError:
            writer.close()
        finally:
            self.serves -= 1

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Break every connection, with what is on its way."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def hold(self) -> None:
        """Pass nothing on from now on."""
        self._flows.clear()
        self._returns.clear()

    def hold_answers(self) -> None:
        """Pass nothing on to the client from now on."""
        self._returns.clear()

    def let_go(self) -> None:
        """Pass all on again."""
        self._flows.set()
        self._returns.set()

    async def close(self) -> None:
        self.let_go()
        self.cut()
        self._server.close()
        await self._server.wait_closed()


async def behind(cluster: Cluster, proxy: Proxy, name: str) -> tuple[LoopHost, Link]:
    """Return a client whose way is through the proxy."""
    host = LoopHost()
    link = Link(
        host,
        await proxy.start(),
        node=name,
        incarnation=1,
        vocabulary=vocabulary(),
        token="runner",
    )
    cluster.clients.append((host, link))
    await link.ready
    return host, link


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)


def test_questions_of_a_broken_connection_are_asked_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        answers = []
        for _ in range(5):
            futures = [host.ask("jobd://n1/porter", Count()) for _ in range(100)]
            await asyncio.sleep(0.002)
            proxy.cut()
            answers += [await future for future in futures]
        assert sorted(answers) == list(range(1, 501))  # each done once, none lost
        assert cluster.porter.sum == 500
        await proxy.close()

    run(scenario)


def test_calls_between_clients_survive_a_broken_connection_of_the_caller() -> None:
    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        callee, _ = await cluster.linked("b")
        porter = Porter()
        callee.spawn(lambda: porter, "jobd://b/porter")
        answers = []
        lost = 0
        for _ in range(5):
            futures = [host.ask("jobd://b/porter", Count()) for _ in range(100)]
            await asyncio.sleep(0.002)
            proxy.cut()
            for future in futures:
                try:
                    answers.append(await future)
                except ActorUnavailable as error:
                    assert error.maybe_executed
                    lost += 1
        assert len(answers) == len(set(answers))
        assert len(answers) <= porter.sum <= len(answers) + lost
        assert await host.ask("jobd://b/porter", Count()) == porter.sum
        await proxy.close()

    run(scenario)


def test_a_stream_of_a_broken_connection_ends_on_both_sides() -> None:
    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        producer = cluster.host.cells["/producer"].actor
        assert isinstance(producer, Producer)
        stream = host.stream("jobd://n1/producer", Numbers(1000), credit_items=4)
        assert await anext(stream) == 0
        proxy.cut()
        with pytest.raises(ActorUnavailable):
            async for _ in stream:
                pass
        await until(lambda: producer.log[-1:] == ["closed"])
        await until(lambda: "a" in cluster.link.peers and cluster.link.peers["a"].bulk)
        again = host.stream("jobd://n1/producer", Numbers(50))
        assert [each async for each in again] == list(range(50))
        await proxy.close()

    run(scenario)


def test_a_silent_connection_is_lost_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PEER_TIMEOUT_S", 0.5)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        proxy.hold()
        pending = host.ask("jobd://n1/porter", Count())
        with pytest.raises(ActorUnavailable) as caught:
            await pending
        assert caught.value.maybe_executed
        await until(lambda: not cluster.link.peers)
        await proxy.close()

    run(scenario)


def test_too_many_questions_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASKS_PER_PEER", 10)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        proxy.hold()
        for _ in range(10):
            host.ask("jobd://n1/porter", Ping())
        with pytest.raises(Busy):
            await host.ask("jobd://n1/porter", Ping())
        await proxy.close()

    run(scenario)


def test_who_does_not_read_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUTBOX_BYTES", 4 * 1024 * 1024)
    monkeypatch.setattr(limits, "HEARTBEAT_S", 1)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        callee, _ = await behind(cluster, proxy, "b")
        callee.spawn(Echo, "jobd://b/echo")
        caller, _ = await cluster.linked("a")
        assert await caller.ask("jobd://b/echo", Invoke("any", (1,))) == ["any", [1], {}]
        proxy.hold()
        text = "x" * 60_000
        futures: list[LoopFuture[object]] = []
        while not any(future.done for future in futures):
            assert len(futures) < 4_000
            futures.append(caller.ask("jobd://b/echo", Invoke("any", (text,))))
            await caller.ask("jobd://n1/porter", Ping())
        with pytest.raises(Busy, match="doesn't read"):
            await next(future for future in futures if future.done)
        assert "b" in cluster.link.peers
        await proxy.close()

    run(scenario)


def test_answers_dropped_for_who_did_not_read_come_once_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "OUTBOX_BYTES", 8 * 1024 * 1024)
    monkeypatch.setattr(limits, "PEER_TIMEOUT_S", 15)
    monkeypatch.setattr(wire, "_QUEUED_MESSAGES", 4)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        caller, _ = await behind(cluster, proxy, "a")
        callee, _ = await cluster.linked("b")
        callee.spawn(Wordy, "jobd://b/wordy")
        assert len(await caller.ask("jobd://b/wordy", Invoke("any"))) == WORDS
        proxy.hold_answers()
        futures: list[LoopFuture[str]] = []
        while not any(each.error.code == "busy" for each in cluster.refusals):
            assert len(futures) < 2_000
            futures.append(caller.ask("jobd://b/wordy", Invoke("any")))
            await asyncio.sleep(0.002)
        proxy.let_go()
        done = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 15)
        # Of an answer that its sender had no room to keep it is known that it is lost.
        assert {type(each) for each in done} <= {str, ActorUnavailable, Busy}
        assert type(await caller.ask("jobd://b/wordy", Invoke("any"))) is str
        await proxy.close()

    run(scenario)


def test_large_bytes_for_who_does_not_read_take_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "OUTBOX_BYTES", 8 * 1024 * 1024)
    monkeypatch.setattr(limits, "HEARTBEAT_S", 1)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        callee, _ = await behind(cluster, proxy, "b")
        callee.spawn(Echo, "jobd://b/echo")
        caller, _ = await cluster.linked("a")
        large = b"x" * 1024 * 1024
        assert await caller.ask("jobd://b/echo", Invoke("size", (large,))) == len(large)
        proxy.hold_answers()
        sent = 0
        while not any(each.error.code == "busy" for each in cluster.refusals):
            sent += 1
            assert sent < 60  # 8 MiB are here, the rest is in the buffers of sockets
            caller.tell("jobd://b/echo", Invoke("size", (large,)))
            await caller.ask("jobd://n1/porter", Ping())
            await asyncio.sleep(0.01)
        proxy.let_go()
        await until(lambda: not cluster.link._wire._outboxes)
        assert await caller.ask("jobd://b/echo", Invoke("size", (large,))) == len(large)
        await proxy.close()

    run(scenario)


def test_a_watch_outlives_a_broken_connection() -> None:
    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        host, _ = await behind(cluster, proxy, "a")
        watcher = Watcher()
        host.spawn(lambda: watcher, "jobd://a/watcher")
        host.tell("jobd://a/watcher", Invoke("jobd://n1/porter"))
        await until(lambda: cluster.link.peers["a"].watched)
        before = proxy.connections
        proxy.cut()
        await until(lambda: proxy.connections > before and "a" in cluster.link.peers)
        assert await host.ask("jobd://n1/porter", Ping()) is not None
        await cluster.host.stop("/porter")
        await until(lambda: watcher.ended)
        assert watcher.ended == ["jobd://n1/porter"]
        await proxy.close()

    run(scenario)


def test_watches_of_what_has_ended_take_no_room() -> None:
    async def scenario(cluster: Cluster) -> None:
        host, _ = await cluster.linked("a")
        watcher = Watcher()
        host.spawn(lambda: watcher, "jobd://a/watcher")
        for n in range(3):
            cluster.host.spawn(Echo, f"/echo/{n}")
            host.tell("jobd://a/watcher", Invoke(f"jobd://n1/echo/{n}"))
            await until(lambda: cluster.link.peers["a"].watched)
            await cluster.host.stop(f"/echo/{n}")
            await until(lambda: not cluster.link.peers["a"].watched)
        await until(lambda: len(watcher.ended) == 3)

    run(scenario)


def test_a_refused_watch_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHES_PER_PEER", 0)

    async def scenario(cluster: Cluster) -> None:
        host, _ = await cluster.linked("a")
        watcher = Watcher()
        host.spawn(lambda: watcher, "jobd://a/watcher")
        host.tell("jobd://a/watcher", Invoke("jobd://n1/porter"))
        await until(lambda: watcher.ended)

    run(scenario)


def test_a_connection_lost_with_its_second_lane_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 1)

    async def scenario(cluster: Cluster) -> None:
        proxy = Proxy(cluster.link.endpoint)
        await behind(cluster, proxy, "a")
        await until(lambda: cluster.link.peers["a"].bulk)
        other, _ = await cluster.linked("b")
        peer = cluster.link.peers["a"]
        node = cluster.link._wire
        proxy.cut()
        await asyncio.sleep(0.05)  # ZeroMQ knows of it, the node doesn't yet
        for text in (b"x", b"x" * 200_000):
            cluster.host.tell("jobd://a/echo", Invoke("any", (text,)))
        cluster.host.tell("jobd://b/echo", Invoke("any"))
        node.flush()
        assert peer.is_lost
        assert not node._outboxes
        assert await other.ask("jobd://n1/porter", Ping()) is not None
        await proxy.close()

    run(scenario)


def test_who_connects_and_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PEER_TIMEOUT_S", 1)

    async def scenario(cluster: Cluster) -> None:
        host, _, port = cluster.link.endpoint.removeprefix("tcp://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(5):
            while await reader.read(1_000):
                pass  # ZeroMQ's own greeting
        writer.close()

    run(scenario)
