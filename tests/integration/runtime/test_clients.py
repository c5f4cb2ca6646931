"""Clients over tcp: who is let in, what they may do, and what they send each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import msgspec
import pytest

from actors import limits
from actors.errors import (
    ActorUnavailable,
    Busy,
    ConfigError,
    DeadLetter,
    Forbidden,
    JobdError,
    TooLarge,
    Unauthenticated,
)
from actors.runtime import (
    Context,
    Effect,
    Effects,
    Inspect,
    Invoke,
    Item,
    LoopActor,
    LoopHost,
    Outlet,
    Ping,
    Principal,
    Reply,
    StreamClosed,
    StreamCredit,
    Tell,
    Terminated,
    Watch,
    handles,
)
from actors.runtime.hello import Hello
from actors.runtime.link import Link, Refusal
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Bang, Count, Counter, Finish

TOKENS = {
    "reader": Principal("reader", frozenset({"read"})),
    "runner": Principal("runner", frozenset({"read", "run"})),
    "chief": Principal("chief", frozenset({"admin"})),
}
MIB = 1024 * 1024


class Who(msgspec.Struct, frozen=True):
    """Answered with the sender and the principal of the question."""


class Secret(msgspec.Struct, frozen=True):
    """In the vocabulary, and open to no client."""


class Numbers(msgspec.Struct, frozen=True):
    """Answered with so many items, of so many bytes if that is not 0."""

    count: int
    size: int = 0


class Porter(Counter):
    @handles(Who)
    def who(self, message: Who, context: Context) -> Effects:
        principal = context.principal
        told = [context.sender, principal and principal.name, principal and principal.may("run")]
        return [Reply(context.reply, told)]

    @handles(Secret)
    def secret(self, message: Secret, context: Context) -> Effects:
        return [Reply(context.reply, "secret")]


class Echo(LoopActor):
    """Answers a call with its arguments."""

    @handles(Invoke)
    def call(self, message: Invoke, context: Context) -> Effects:
        if message.method == "size":
            return [Reply(context.reply, len(message.args[0]))]
        return [Reply(context.reply, [message.method, message.args, message.kwargs])]


class Producer(LoopActor):
    """Sends numbers as fast as it may; `log` has what it is told, `ahead` how far it went."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.sent = 0
        self._wanted: dict[Outlet, Numbers] = {}

    @handles(Numbers)
    def numbers(self, message: Numbers, context: Context) -> Effects:
        assert isinstance(context.reply, Outlet)
        self._wanted[context.reply] = message
        self.sent = 0
        return self._go_on(context.reply)

    @handles(StreamCredit)
    def credit(self, message: StreamCredit, context: Context) -> Effects:
        self.log.append("credit")
        return self._go_on(message.to)

    @handles(StreamClosed)
    def closed(self, message: StreamClosed, context: Context) -> Effects:
        self.log.append("closed")
        self._wanted.pop(message.to)
        return None

    def _go_on(self, to: Outlet) -> Iterator[Effect]:
        wanted = self._wanted.get(to)
        if wanted is None:
            return
        for _ in range(min(to.items, wanted.count - self.sent)):
            yield Item(to, bytes(wanted.size) if wanted.size else self.sent)
            self.sent += 1
        if self.sent == wanted.count:
            del self._wanted[to]
            yield Reply(to, "done")


class Watcher(LoopActor):
    def __init__(self, target: str) -> None:
        self.target = target
        self.got: list[Terminated] = []

    def on_start(self) -> Effects:
        return [Watch(self.target)]

    @handles(Terminated)
    def note(self, message: Terminated, context: Context) -> None:
        self.got.append(message)


def vocabulary() -> Vocabulary:
    words = Vocabulary([Bang, Count, Finish, Numbers, Secret, Who])
    words.expose(Count, "run")
    words.expose(Invoke, "read")
    words.expose(Numbers, "read")
    words.expose(Who, "read")
    return words


class Cluster:
    """A node on tcp with an actor, and clients in this process."""

    def __init__(self) -> None:
        self.tokens = dict(TOKENS)
        self.refusals: list[Refusal] = []
        self.host = LoopHost()
        self.porter = Porter()
        self.host.spawn(lambda: self.porter, "/porter")
        self.host.spawn(Producer, "/producer")
        self.link = self.bind("tcp://127.0.0.1:*")
        self.clients: list[tuple[LoopHost, Link]] = []

    def bind(self, endpoint: str) -> Link:
        return Link(
            self.host,
            endpoint,
            node="n1",
            incarnation=1,
            vocabulary=vocabulary(),
            cluster="c1",
            admit=self.admit,
            on_refused=self.refusals.append,
        )

    def admit(self, hello: Hello) -> Principal:
        principal = self.tokens.get(hello.token)
        if principal is None:
            raise Unauthenticated("no such token")
        return principal

    def client(self, name: str, token: str = "runner", cluster: str = "") -> tuple[LoopHost, Link]:
        host = LoopHost()
        link = Link(
            host,
            self.link.endpoint,
            node=name,
            incarnation=1,
            vocabulary=vocabulary(),
            token=token,
            cluster=cluster,
        )
        self.clients.append((host, link))
        return host, link

    async def linked(self, name: str, token: str = "runner") -> tuple[LoopHost, Link]:
        host, link = self.client(name, token)
        assert await link.ready == "n1"
        return host, link

    async def close(self) -> None:
        for host, link in self.clients:
            link.close()
            await host.shutdown()
        self.link.close()
        await self.host.shutdown()


def run(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    @contextlib.asynccontextmanager
    async def cluster() -> AsyncIterator[Cluster]:
        made = Cluster()
        try:
            yield made
        finally:
            await made.close()

    async def main() -> None:
        async with cluster() as made:
            await asyncio.wait_for(scenario(made), 30)

    asyncio.run(main())


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_client_is_who_the_node_admitted() -> None:
    async def scenario(cluster: Cluster) -> None:
        host, _ = await cluster.linked("a", "reader")
        assert await host.ask("jobd://n1/porter", Who()) == ["jobd://a/", "reader", False]
        assert await host.ask("jobd://n1/porter", Ping()) == 1
        row = await host.ask("jobd://n1/porter", Inspect())
        assert row[0] == "/porter"
        chief, _ = await cluster.linked("b", "chief")
        assert await chief.ask("jobd://n1/porter", Who()) == ["jobd://b/", "chief", True]

    run(scenario)


def test_what_is_not_exposed_is_forbidden_and_reported() -> None:
    async def scenario(cluster: Cluster) -> None:
        host, _ = await cluster.linked("a", "reader")
        for message in (Secret(), Count(), Bang(), Finish()):
            with pytest.raises(Forbidden, match=type(message).__name__):
                await host.ask("jobd://n1/porter", message)
        host.tell("jobd://n1/porter", Finish())
        await until(lambda: len(cluster.refusals) == 5)
        first = cluster.refusals[0]
        assert (first.process, first.principal, first.what) == ("a", "reader", "Secret")
        assert cluster.porter.sum == 0
        with pytest.raises(DeadLetter):
            await host.ask("jobd://n1/nobody", Ping())

    run(scenario)


@pytest.mark.parametrize(
    ("name", "token", "cluster_id", "error"),
    [
        ("a", "unknown", "", Unauthenticated),
        ("a", "", "", Unauthenticated),
        ("a", "runner", "another", ConfigError),
        ("n1", "runner", "", JobdError),
        ("../etc", "runner", "", JobdError),
        ("A", "runner", "", JobdError),
        ("a" * 64, "runner", "", JobdError),
    ],
)
def test_who_is_not_admitted_is_told_why(
    name: str, token: str, cluster_id: str, error: type[JobdError]
) -> None:
    async def scenario(cluster: Cluster) -> None:
        host, link = cluster.client(name, token, cluster_id)
        with pytest.raises(error):
            await link.ready
        assert [each.what for each in cluster.refusals] == ["hello"]
        assert not cluster.link.peers
        with pytest.raises(error):
            await host.ask("jobd://n1/porter", Ping())

    run(scenario)


def test_nobody_takes_over_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(cluster: Cluster) -> None:
        first, link = await cluster.linked("a")
        _, thief = cluster.client("a", "chief")
        with pytest.raises(JobdError, match="another process"):
            await thief.ready
        assert await first.ask("jobd://n1/porter", Count()) == 1
        link.close()
        await until(lambda: not cluster.link.peers)
        _, late = cluster.client("a", "chief")
        with pytest.raises(JobdError, match="another process"):
            await late.ready
        monkeypatch.setattr(limits, "CLIENTS", 0)
        _, another = cluster.client("b")
        with pytest.raises(JobdError, match="clients"):
            await another.ready

    run(scenario)


def test_a_revoked_token_closes_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)

    async def scenario(cluster: Cluster) -> None:
        host, link = await cluster.linked("a")
        cluster.tokens["runner"] = Principal("runner", frozenset({"read"}))
        await until(lambda: cluster.link.peers["a"].principal == cluster.tokens["runner"])
        with pytest.raises(Forbidden):
            await host.ask("jobd://n1/porter", Count())
        del cluster.tokens["runner"]
        await until(lambda: link.refusal is not None)
        assert not cluster.link.peers
        with pytest.raises(Unauthenticated):
            await host.ask("jobd://n1/porter", Who())
        assert "to stay" in [each.what for each in cluster.refusals]

    run(scenario)


def test_clients_call_each_other_through_the_node() -> None:
    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a", "reader")
        callee, _ = await cluster.linked("b")
        callee.spawn(Porter, "jobd://b/porter")
        callee.spawn(Echo, "jobd://b/echo")
        assert await caller.ask("jobd://b/porter", Who()) == ["jobd://a/", "reader", False]
        call = Invoke("add", (1, "two", b"3", [4.0, None]), {"key": {"in": True}})
        answer = await caller.ask("jobd://b/echo", call)
        assert answer == ["add", [1, "two", b"3", [4.0, None]], {"key": {"in": True}}]
        with pytest.raises(Forbidden):
            await caller.ask("jobd://b/porter", Count())
        with pytest.raises(DeadLetter):
            await caller.ask("jobd://b/nobody", Ping())
        futures = [caller.ask("jobd://b/echo", Invoke("n", (n,))) for n in range(900)]
        assert [(await each)[1] for each in futures] == [[n] for n in range(900)]
        with pytest.raises(TypeError, match="set"):
            await caller.ask("jobd://b/echo", Invoke("n", ({1},)))

    run(scenario)


def test_a_lost_process_fails_its_callers_and_ends_watches() -> None:
    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a")
        callee, callee_link = await cluster.linked("b")

        class Silent(LoopActor):
            @handles(Count)
            def count(self, message: Count, context: Context) -> None: ...

        callee.spawn(Silent, "jobd://b/silent")
        callee.spawn(Producer, "jobd://b/producer")
        watcher, node_watcher = Watcher("jobd://b/silent"), Watcher("jobd://b/silent")
        caller.spawn(lambda: watcher, "jobd://a/watcher")
        cluster.host.spawn(lambda: node_watcher, "/watcher")
        pending = caller.ask("jobd://b/silent", Count())
        stream = caller.stream("jobd://b/producer", Numbers(10_000))
        assert await anext(stream) == 0
        callee_link.close()
        with pytest.raises(ActorUnavailable) as caught:
            await pending
        assert caught.value.maybe_executed
        with pytest.raises(ActorUnavailable):
            async for _ in stream:
                pass
        await until(lambda: watcher.got and node_watcher.got)
        for gone in ("jobd://b/silent", "jobd://never/was"):
            with pytest.raises(DeadLetter):
                await caller.ask(gone, Count())

    run(scenario)


def test_large_bytes_take_frames_of_their_own() -> None:
    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a")
        callee, _ = await cluster.linked("b")
        callee.spawn(Echo, "jobd://b/echo")
        await until(lambda: all(peer.bulk for peer in cluster.link.peers.values()))
        large = bytes(range(256)) * (4 * 1024)
        for value in (large, [large, "x", {"deep": [large[:70_000]]}]):
            answer = await caller.ask("jobd://b/echo", Invoke("put", (value, 1), {"k": value}))
            assert answer == ["put", [value, 1], {"k": value}]
        most = bytes(limits.BLOB_BYTES)
        assert await caller.ask("jobd://b/echo", Invoke("size", (most,))) == len(most)
        with pytest.raises(TooLarge, match="BLOB_BYTES"):
            await caller.ask("jobd://b/echo", Invoke("size", (most + b"x",)))
        with pytest.raises(TooLarge, match="BLOBS_PER_MESSAGE"):
            await caller.ask("jobd://b/echo", Invoke("size", ([large] * 17,)))
        with pytest.raises(TooLarge):
            await caller.ask("jobd://b/echo", Invoke("size", ("x" * 3 * MIB,)))

    run(scenario)


@pytest.mark.parametrize(
    "address", ["jobd://n1/producer", "jobd://b/producer", "jobd://a/producer"]
)
def test_a_stream_is_the_same_from_anywhere(address: str) -> None:
    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a")
        callee, _ = await cluster.linked("b")
        producers = {"jobd://n1/producer": cluster.host.cells["/producer"].actor}
        for host, name in ((caller, "jobd://a/producer"), (callee, "jobd://b/producer")):
            host.spawn(Producer, name)
            producers[name] = host.cells[name].actor
        producer = producers[address]
        assert isinstance(producer, Producer)
        stream = caller.stream(address, Numbers(500), credit_items=10)
        await until(lambda: producer.sent)
        await asyncio.sleep(0.05)
        assert producer.sent == 10  # never ahead of the credit
        assert [each async for each in stream] == list(range(500))
        assert stream.value == "done" and "credit" in producer.log
        by_bytes = caller.stream(address, Numbers(6, 100_000), credit_bytes=150_000)
        await until(lambda: by_bytes._next == 3)
        await asyncio.sleep(0.05)
        assert by_bytes._next == 3  # the second one overdraws, the third waits
        assert [len(each) async for each in by_bytes] == [100_000] * 6
        closed = caller.stream(address, Numbers(500), credit_items=10)
        assert await anext(closed) == 0
        await closed.aclose()
        await until(lambda: producer.log[-1] == "closed")
        assert [each async for each in closed] == []
        assert not caller.cells.get("jobd://a/producer", cluster.host.cells["/porter"]).streams
        in_thread = caller.stream(address, Numbers(300), credit_items=10)
        assert await asyncio.to_thread(list, in_thread) == list(range(300))
        empty = caller.stream("jobd://n1/porter", Who())
        assert [each async for each in empty] == [] and empty.value is not None
        with pytest.raises((DeadLetter, ActorUnavailable)):
            await anext(caller.stream(address + "/none", Numbers(1)))

    run(scenario)


def test_who_runs_ahead_of_the_credit_fails_the_stream() -> None:
    class Greedy(LoopActor):
        @handles(Numbers)
        def numbers(self, message: Numbers, context: Context) -> Effects:
            return [Item(context.reply, n) for n in range(message.count)]

    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a")
        cluster.host.spawn(Greedy, "/greedy")
        stream = caller.stream("jobd://n1/greedy", Numbers(5), credit_items=3)
        got = []
        with pytest.raises(Busy, match="ahead"):
            async for each in stream:
                got.append(each)  # noqa: PERF401 - what came before the error counts
        assert got == [0, 1, 2]
        with pytest.raises(JobdError, match="stream"):
            await caller.ask("jobd://n1/greedy", Numbers(1))

    run(scenario)


def test_a_node_that_comes_back_is_found_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        caller, link = await cluster.linked("a")
        endpoint = cluster.link.endpoint
        cluster.link.close()
        await until(lambda: not link.lanes)
        with pytest.raises(ActorUnavailable):
            await caller.ask("jobd://n1/porter", Who())
        cluster.link = cluster.bind(endpoint)
        await until(lambda: link.lanes)
        assert await caller.ask("jobd://n1/porter", Count()) == 1

    run(scenario)


def test_a_taken_port_is_a_clear_error() -> None:
    async def scenario(cluster: Cluster) -> None:
        with pytest.raises(ConfigError, match="is taken by another process"):
            cluster.bind(cluster.link.endpoint)

    run(scenario)


def test_tells_keep_their_order_through_the_relay() -> None:
    class Notes(LoopActor):
        def __init__(self) -> None:
            self.got: list[object] = []

        @handles(Invoke)
        def note(self, message: Invoke, context: Context) -> None:
            self.got.append(message.args[0])

    class Sender(LoopActor):
        @handles(Count)
        def go(self, message: Count, context: Context) -> Effects:
            return [Tell("jobd://b/notes", Invoke("n", (n,))) for n in range(900)]

    async def scenario(cluster: Cluster) -> None:
        caller, _ = await cluster.linked("a")
        callee, _ = await cluster.linked("b")
        notes = Notes()
        callee.spawn(lambda: notes, "jobd://b/notes")
        caller.spawn(Sender, "jobd://a/sender")
        caller.tell("jobd://a/sender", Count())
        await until(lambda: len(notes.got) == 900)
        assert notes.got == list(range(900))

    run(scenario)
