"""Links over ipc: messages, answers, watching, loss, repeats and hostile frames."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from actors import limits
from actors.errors import ActorUnavailable, ConfigError, DeadLetter, JobdError, NotFound
from actors.runtime import (
    Answered,
    Ask,
    Context,
    Effects,
    Fail,
    Failed,
    LoopActor,
    LoopHost,
    Terminated,
    Watch,
    handles,
)
from actors.runtime.envelope import Envelope, ErrorBody, Kind, frame_of
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Bang, Count, Counter, Finish, Urgent

VOCABULARY = Vocabulary([Bang, Count, Finish])
Scenario = Callable[[LoopHost, Link, str], Awaitable[None]]


class Friend(LoopActor):
    """On the node: asks the child's counter, watches it, and notes what comes back."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.got: list[object] = []

    @handles(Count)
    def ask(self, message: Count, context: Context) -> Effects:
        return [Watch(self.target), Ask(self.target, Count(), "tag", timeout_s=20)]

    @handles(Answered, Failed, Terminated)
    def note(self, message: object, context: Context) -> None:
        self.got.append(message)

    @handles(Finish)
    def refuse(self, message: Finish, context: Context) -> Effects:
        return [Fail(context.reply, NotFound(message.reason))]


def run(tmp_path: Path, scenario: Scenario) -> None:
    async def main() -> None:
        host, endpoint = LoopHost(), f"ipc://{tmp_path}/node.sock"
        link = Link(host, endpoint, node="n1", incarnation=7, vocabulary=VOCABULARY)
        try:
            await asyncio.wait_for(scenario(host, link, endpoint), 30)
        finally:
            link.close()
            await host.shutdown()

    asyncio.run(main())


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def child_link(host: LoopHost, endpoint: str, incarnation: int = 1) -> Link:
    return Link(
        host,
        endpoint,
        node="child",
        incarnation=incarnation,
        vocabulary=VOCABULARY,
        child=True,
    )


def test_actors_of_two_processes_talk_as_if_they_were_in_one(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        friend = Friend("jobd://child/counter")
        host.spawn(lambda: friend, "jobd://n1/friend")
        there = LoopHost()
        there.spawn(Counter, "jobd://child/counter")
        linked = child_link(there, endpoint)
        assert await linked.ready == "n1"
        for _ in range(500):
            host.tell("jobd://child/counter", Count())
        assert await host.ask("jobd://child/counter", Count()) == 501
        host.tell("jobd://n1/friend", Count())
        await until(lambda: friend.got)
        with pytest.raises(NotFound, match="quite gone"):
            await there.ask("jobd://n1/friend", Finish("quite gone"))
        with pytest.raises(JobdError, match="poison"):
            await host.ask("jobd://child/counter", Bang("poison"))
        with pytest.raises(DeadLetter):
            await host.ask("jobd://child/nobody", Count())
        with pytest.raises(TypeError, match="Urgent"):
            await host.ask("jobd://child/counter", Urgent())
        there.stop("jobd://child/counter", "drained")
        await until(lambda: len(friend.got) == 2)
        assert friend.got == [
            Answered("tag", 502),
            Terminated("jobd://child/counter", "drained"),
        ]
        linked.close()
        await there.shutdown()

    run(tmp_path, scenario)


def test_a_killed_child_fails_its_asks_and_ends_its_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PEER_TIMEOUT_S", 1.0)
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.2)

    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        friend = Friend("jobd://child/counter")
        host.spawn(lambda: friend, "jobd://n1/friend")
        command = [sys.executable, "-m", "tests.integration.runtime.child", endpoint]
        child = subprocess.Popen(command)
        try:
            await until(lambda: "child" in host.routes)
            host.tell("jobd://n1/friend", Count())
            await until(lambda: friend.got)
            os.kill(child.pid, signal.SIGSTOP)
            pending = host.ask("jobd://child/counter", Count())
            await asyncio.sleep(0.1)
            os.kill(child.pid, signal.SIGKILL)
            with pytest.raises(ActorUnavailable) as caught:
                await pending
            assert caught.value.maybe_executed
            await until(lambda: len(friend.got) == 2)
            assert isinstance(friend.got[1], Terminated)
            assert friend.got[1].reason.startswith("unavailable")
            with pytest.raises(DeadLetter):
                await host.ask("jobd://child/counter", Count())
        finally:
            child.kill()
            child.wait()

    run(tmp_path, scenario)


def test_a_new_incarnation_is_another_peer(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        class Silent(LoopActor):
            @handles(Count)
            def count(self, message: Count, context: Context) -> None: ...

        first = LoopHost()
        first.spawn(Silent, "jobd://child/counter")
        linked = child_link(first, endpoint)
        await linked.ready
        pending = host.ask("jobd://child/counter", Count())
        await asyncio.sleep(0.05)
        second = LoopHost()
        second.spawn(Counter, "jobd://child/counter")
        linked_again = child_link(second, endpoint, incarnation=2)
        await linked_again.ready
        with pytest.raises(ActorUnavailable, match="restarted"):
            await pending
        assert await host.ask("jobd://child/counter", Count()) == 1
        for each in (linked, linked_again):
            each.close()
        for other in (first, second):
            await other.shutdown()

    run(tmp_path, scenario)


class RawChild:
    """A peer that sends whatever it likes."""

    def __init__(self, endpoint: str) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def send(self, *envelopes: object) -> None:
        batch = frame_of([msgspec.msgpack.encode(each) for each in envelopes])
        self.socket.send_multipart([DIRECT, batch])

    def hello(self, incarnation: int = 1, **versions: Any) -> None:
        body = msgspec.Raw(msgspec.msgpack.encode(Hello("child", incarnation, **versions)))
        self.send(Envelope(1, Kind.HELLO, body=body, incarnation=incarnation))

    async def receive(self, kind: Kind) -> Envelope:
        """Return the next envelope of a kind."""
        for _ in range(500):
            if self.socket.poll(0):
                _header, batch, *_blobs = self.socket.recv_multipart()
                for each in msgspec.msgpack.decode(batch, type=list[Envelope]):
                    if each.kind == kind:
                        return each
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {kind.name} came")

    def close(self) -> None:
        self.socket.close()
        self.context.term()


def ask(number: int, dst: str = "jobd://n1/counter", **fields: object) -> Envelope:
    count = msgspec.Raw(msgspec.msgpack.encode(Count()))
    given = {"type": "Count", "body": count, "incarnation": 1, **fields}
    return Envelope(1, Kind.ASK, corr=number, dst=dst, **given)  # type: ignore[arg-type]


def test_a_repeated_question_is_asked_once_and_answered_again(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        host.spawn(Counter, "jobd://n1/counter")
        raw = RawChild(endpoint)
        raw.hello()
        await raw.receive(Kind.HELLO)
        raw.send(ask(5), ask(5))
        answers = [await raw.receive(Kind.REPLY)]
        raw.send(ask(5))
        answers.append(await raw.receive(Kind.REPLY))
        raw.send(ask(6))
        answers.append(await raw.receive(Kind.REPLY))
        assert [(each.corr, bytes(each.body)) for each in answers] == [
            (5, b"\x01"),
            (5, b"\x01"),
            (6, b"\x02"),
        ]
        raw.close()

    run(tmp_path, scenario)


def test_hostile_frames_are_counted_and_answered_and_nothing_breaks(tmp_path: Path) -> None:
    deep = b"\x91" * 100_000 + b"\xc0"

    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        host.spawn(Counter, "jobd://n1/counter")
        raw = RawChild(endpoint)
        raw.send(ask(1))  # before a hello
        refusal = await raw.receive(Kind.ERROR)
        assert msgspec.msgpack.decode(refusal.body, type=ErrorBody).code == "hello_first"
        raw.hello(min_version=9, max_version=9)
        refusal = await raw.receive(Kind.ERROR)
        assert msgspec.msgpack.decode(refusal.body, type=ErrorBody).code == ConfigError.code
        raw.hello()
        await raw.receive(Kind.HELLO)
        for garbage in (b"", b"\x00", b"\xc1" * 50, deep, b"\xdd\xff\xff\xff\xff", os.urandom(999)):
            raw.socket.send_multipart([DIRECT, garbage])
            raw.socket.send_multipart([garbage, DIRECT])
        raw.send(ask(4, type="Bang", body=msgspec.Raw(deep)))
        raw.socket.send(b"one frame")
        await until(lambda: link.refused == 2 + 12 + 2)
        asks = [
            (ask(2, type="NoSuch"), "bad_frame"),
            (ask(3, type="Bang", body=msgspec.Raw(b"\x91\x01")), "bad_frame"),
            (ask(5, src="jobd://other/actor"), "bad_frame"),
            (ask(6, incarnation=9), "bad_frame"),
            (ask(7, dst="jobd://n2/counter"), "dead_letter"),
            (ask(8, dst="jobd://n1/no"), "dead_letter"),
        ]
        for envelope, code in asks:
            raw.send(envelope)
            error = await raw.receive(Kind.ERROR)
            assert error.corr == envelope.corr
            assert msgspec.msgpack.decode(error.body, type=ErrorBody).code == code
        raw.send(
            [1, Kind.ASK, 0, 9, "jobd://n1/counter", "", 0, None, "Count", {}, 1, 0, 0, "later"]
        )
        assert (await raw.receive(Kind.REPLY)).corr == 9  # fields at the end are for later versions
        raw.close()

    run(tmp_path, scenario)


def test_a_frame_over_the_limit_ends_the_connection_only(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        host.spawn(Counter, "jobd://n1/counter")
        hostile, good = RawChild(endpoint), RawChild(endpoint)
        hostile.socket.send(bytes(limits.ENVELOPE_BYTES + 1))
        good.hello()
        await good.receive(Kind.HELLO)
        good.send(ask(1))
        assert (await good.receive(Kind.REPLY)).corr == 1
        for raw in (hostile, good):
            raw.close()

    run(tmp_path, scenario)


def test_many_asks_from_both_sides_all_end(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        there = LoopHost()
        host.spawn(Counter, "jobd://n1/counter")
        there.spawn(Counter, "jobd://child/counter")
        linked = child_link(there, endpoint)
        await linked.ready
        for _ in range(5):
            futures = [
                pair
                for _ in range(200)
                for pair in (
                    host.ask("jobd://child/counter", Count()),
                    there.ask("jobd://n1/counter", Count()),
                )
            ]
            for future in futures:
                await future
        assert await host.ask("jobd://child/counter", Count()) == 1001
        assert await there.ask("jobd://n1/counter", Count()) == 1001
        linked.close()
        await there.shutdown()

    run(tmp_path, scenario)


def test_numbers_of_questions_are_never_used_twice(tmp_path: Path) -> None:
    async def scenario(host: LoopHost, link: Link, endpoint: str) -> None:
        raw = RawChild(endpoint)
        numbers = []
        for _ in range(2):
            raw.hello()
            await until(lambda: "child" in host.routes)
            host.ask("jobd://child/counter", Count())
            numbers.append((await raw.receive(Kind.ASK)).corr)
            link.lose("child", "for the test")
        assert numbers == list(itertools.islice(itertools.count(numbers[0]), 2))
        raw.close()

    run(tmp_path, scenario)
