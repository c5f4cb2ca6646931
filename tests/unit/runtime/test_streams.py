"""Streams in one process: credit, ends, and what the producer is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from actors.errors import ActorUnavailable, Busy, DeadLetter, JobdError, NotFound
from actors.runtime import (
    Context,
    Effects,
    Fail,
    Item,
    LoopActor,
    LoopHost,
    Outlet,
    Reply,
    StreamClosed,
    StreamCredit,
    handles,
)
from actors.runtime.stream import Stream
from tests.unit.runtime.messages import Bang, Finish


class Subscribe(msgspec.Struct, frozen=True):
    """Answered with what `Say` says, until `Finish`."""


class Say(msgspec.Struct, frozen=True):
    """Send these, and end if so."""

    values: list[object]
    ends: bool = False


class Source(LoopActor):
    """Sends what it is told to its one reader; `told` has the signals."""

    def __init__(self) -> None:
        self.to: Outlet | None = None
        self.told: list[str] = []

    @handles(Subscribe)
    def subscribe(self, message: Subscribe, context: Context) -> Effects:
        assert isinstance(context.reply, Outlet)
        self.to = context.reply
        return None

    @handles(Say)
    def say(self, message: Say, context: Context) -> Effects:
        items = [Item(self.to, value) for value in message.values]
        return [*items, Reply(self.to, "the end")] if message.ends else items

    @handles(Finish)
    def finish(self, message: Finish, context: Context) -> Effects:
        return [Fail(self.to, NotFound(message.reason))]

    @handles(Bang)
    def bang(self, message: Bang, context: Context) -> Effects:
        raise RuntimeError(message.why)

    @handles(StreamCredit)
    def credit(self, message: StreamCredit, context: Context) -> Effects:
        self.told.append("credit")
        return None

    @handles(StreamClosed)
    def closed(self, message: StreamClosed, context: Context) -> Effects:
        self.told.append("closed")
        return None


def run(scenario: Callable[[LoopHost, Source], Awaitable[None]]) -> None:
    async def main() -> None:
        host, source = LoopHost(), Source()
        made = iter([source, Source()])
        host.spawn(lambda: next(made), "/source")
        await asyncio.wait_for(scenario(host, source), 10)
        await host.shutdown()

    asyncio.run(main())


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_items_and_their_end_come_in_order() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe())
        host.tell("/source", Say([1, "two"]))
        host.tell("/source", Say([3], ends=True))
        assert [each async for each in stream] == [1, "two", 3]
        assert stream.value == "the end"
        host.tell("/source", Say([4]))  # nobody hears it
        await turns()
        assert source.told == []

    run(scenario)


def test_what_a_turn_sends_beyond_the_bytes_waits_and_the_end_behind_it() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe(), credit_items=8, credit_bytes=10)
        host.tell("/source", Say(["a" * 9, "b" * 9, "c" * 9, "d" * 9], ends=True))
        await turns()
        assert stream._next == 3  # the second one overdrew
        assert source.to is not None and source.to.done and not source.to.has_room
        assert [each[0] async for each in stream] == ["a", "b", "c", "d"]
        assert stream.value == "the end"

    run(scenario)


def test_more_items_than_credit_fail_the_stream() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe(), credit_items=2)
        host.tell("/source", Say([1, 2, 3]))
        assert await anext(stream) == 1
        assert await anext(stream) == 2
        with pytest.raises(Busy):
            await anext(stream)

    run(scenario)


def test_the_producer_hears_of_credit_and_may_await_it() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe(), credit_items=2)
        await turns()
        assert source.to is not None
        assert await source.to.room() is True
        host.tell("/source", Say([1, 2]))
        await turns()
        room = source.to.room()
        assert not room.done and source.to.items == 0
        assert await anext(stream) == 1
        await turns()
        assert source.told == [] and not room.done  # what it took is given back with its next step
        assert await anext(stream) == 2
        assert await room is True and source.to.items == 1
        await turns()
        assert source.told == ["credit"]
        host.tell("/source", Say([3]))
        await turns()
        last = source.to.room()
        await stream.aclose()
        assert await last is False
        await turns()
        assert source.told == ["credit", "closed"] and source.to.done

    run(scenario)


@pytest.mark.parametrize(
    ("message", "error"), [(Finish("no more"), NotFound), (Bang("bang"), ActorUnavailable)]
)
def test_an_error_and_a_crash_end_it_behind_its_items(
    message: object, error: type[JobdError]
) -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe())
        host.tell("/source", Say([1]))
        host.tell("/source", message)
        assert await anext(stream) == 1
        with pytest.raises(error):
            await anext(stream)
        with pytest.raises(error):  # and it stays so
            await anext(stream)
        assert not host.cells["/source"].streams

    run(scenario)


def test_the_end_of_the_actor_ends_it() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        stream = host.stream("/source", Subscribe())
        await turns()
        await host.stop("/source")
        with pytest.raises(ActorUnavailable) as caught:
            await anext(stream)
        assert caught.value.maybe_executed
        with pytest.raises(DeadLetter):
            await anext(host.stream("/source", Subscribe()))

    run(scenario)


def test_an_entity_with_a_reader_is_not_idle() -> None:
    async def scenario(host: LoopHost, _: Source) -> None:
        host.entities("/sources/", lambda _: Source(), idle_s=0.05)
        stream = host.stream("/sources/1", Subscribe())
        await asyncio.sleep(0.3)
        assert "/sources/1" in host.cells
        await stream.aclose()
        await asyncio.sleep(0.3)
        assert "/sources/1" not in host.cells

    run(scenario)


def test_it_is_read_in_threads_and_on_other_loops() -> None:
    async def scenario(host: LoopHost, source: Source) -> None:
        def in_a_thread() -> list[object]:
            return list(host.stream("/source", Subscribe(), credit_items=4))

        async def elsewhere(stream: Stream[object]) -> list[object]:
            return [each async for each in stream]

        reading = asyncio.create_task(asyncio.to_thread(in_a_thread))
        await talk(host, source, 30)
        assert await reading == list(range(30))
        stream = host.stream("/source", Subscribe(), credit_items=4)
        reading = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere(stream)))
        await talk(host, source, 30)
        assert await reading == list(range(30))

    run(scenario)


async def talk(host: LoopHost, source: Source, count: int) -> None:
    """Have it send numbers as there is room."""
    source.to = None
    while source.to is None:
        await asyncio.sleep(0.001)
    for n in range(count):
        assert await source.to.room()
        host.tell("/source", Say([n]))
        await turns()
    host.tell("/source", Say([], ends=True))
