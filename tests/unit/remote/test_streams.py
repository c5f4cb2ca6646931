"""Methods that yield: items with credit, from threads and from the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

import actors
from actors import limits
from actors.runtime.remote.feed import ITEMS_AHEAD
from tests.unit.remote.actor_classes import Counter, Sleeper
from tests.unit.remote.plain import Unlike


@pytest.mark.parametrize("cls", [Counter, Sleeper])
def test_items_come_in_order(cls: actors.ActorClass[object]) -> None:
    actor = cls.remote()
    assert list(actor.below.remote(500)) == list(range(500))
    assert list(actor.below.remote(0)) == []

    async def main() -> list[int]:
        return [item async for item in actor.below.remote(300)]

    assert asyncio.run(main()) == list(range(300))


def test_what_breaks_a_generator_comes_after_its_items() -> None:
    stream = Counter.remote().break_at.remote(40)
    items = []
    with pytest.raises(Unlike):
        for item in stream:
            items.append(item)  # noqa: PERF402
    assert items == list(range(40))


MADE: list[int] = []
CLOSED = threading.Event()


class Endless:
    def count(self) -> Iterator[int]:
        try:
            while True:
                MADE.append(len(MADE))
                yield MADE[-1]
        finally:
            CLOSED.set()

    def after(self) -> str:
        return "after"


def test_a_generator_is_no_further_ahead_than_its_credit_and_ends_with_its_reader() -> None:
    endless = actors.remote(Endless).remote()
    with contextlib.closing(endless.count.remote()) as stream:
        assert next(stream) == 0
        time.sleep(0.1)
        # A batch taken, its credit given back, and the feed between the thread and the loop.
        assert limits.STREAM_ITEMS <= len(MADE) <= 2 * limits.STREAM_ITEMS + ITEMS_AHEAD + 1
    assert CLOSED.wait(5)
    assert endless.after.remote().get(timeout=5) == "after"


def test_a_stream_ends_with_its_actor() -> None:
    sleeper = Sleeper.remote()
    stream = sleeper.below.remote(10_000)
    assert next(stream) == 0
    actors.kill(sleeper)
    with pytest.raises(actors.ActorDied):
        list(stream)


def test_a_closed_stream_closes_the_async_generator() -> None:
    sleeper = Sleeper.remote()
    stream = sleeper.below.remote(10_000)
    assert next(stream) == 0
    stream.close()
    assert sleeper.ended.remote().get(timeout=5) == 1


def test_a_stream_takes_no_refs_and_no_timeout() -> None:
    counter = Counter.remote()
    with pytest.raises(TypeError):
        counter.below.remote(counter.add.remote())
    with pytest.raises(TypeError):
        counter.below.options(timeout=1)
    with pytest.raises(actors.JobdError, match="stream"):
        counter._caller.call(counter._address, "below", (1,), {}, None).get(timeout=5)
