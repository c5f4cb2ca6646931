"""LoopHost on a real loop, with real threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from actors import limits
from actors.errors import ActorUnavailable, AskTimeout, DeadLetter
from actors.runtime import (
    Context,
    Effects,
    LoopActor,
    LoopHost,
    Reply,
    Tell,
    ThreadActor,
    handles,
)
from tests.unit.runtime.messages import Bang, Count, Counter, Finish, Urgent


def run(scenario: Callable[[LoopHost], Awaitable[None]]) -> None:
    async def main() -> None:
        host = LoopHost()
        try:
            await asyncio.wait_for(scenario(host), 20)
        finally:
            await host.shutdown()
        assert host.inspect() == []

    asyncio.run(main())


class Sleeper(ThreadActor):
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def on_start(self) -> Effects:
        self.log.append(f"start in {'loop' if _on_loop() else 'thread'}")
        return None

    def on_stop(self) -> None:
        self.log.append("stop")

    @handles(Count)
    def count(self, message: Count, context: Context) -> Effects:
        time.sleep(0.05)
        return [Reply(context.reply, _on_loop()), Tell("/counter", Count())]

    @handles(Bang)
    def bang(self, message: Bang, context: Context) -> Effects:
        raise SystemExit(message.why)


def _on_loop() -> bool:
    return asyncio._get_running_loop() is not None


def test_a_thread_actor_blocks_only_itself() -> None:
    log: list[str] = []

    async def scenario(host: LoopHost) -> None:
        host.spawn(Counter, "/counter")
        host.spawn(lambda: Sleeper(log), "/sleeper")
        slow = host.ask("/sleeper", Count())
        started = time.monotonic()
        assert await host.ask("/counter", Count()) == 1
        assert time.monotonic() - started < 0.04
        assert await slow is False
        assert await host.ask("/counter", Count()) == 3

    run(scenario)
    assert log == ["start in thread", "stop"]


def test_a_crash_in_a_thread_restarts_it_on_a_new_thread_and_keeps_the_others() -> None:
    log: list[str] = []

    async def scenario(host: LoopHost) -> None:
        host.spawn(Counter, "/counter")
        host.spawn(lambda: Sleeper(log), "/sleeper")
        with pytest.raises(SystemExit):
            await host.ask("/sleeper", Bang())
        assert await host.ask("/sleeper", Count()) is False
        assert await host.ask("/counter", Count()) == 2
        assert log.count("start in thread") == 1 + limits.CRASHES_PER_MESSAGE

    before = threading.active_count()
    run(scenario)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_other_threads_may_spawn_tell_ask_and_stop() -> None:
    async def scenario(host: LoopHost) -> None:
        def foreign() -> list[object]:
            host.spawn(Counter, "/counter")
            for _ in range(500):
                host.tell("/counter", Count())
            answers = [host.ask("/counter", Count()).get(timeout=5)]
            answers.append(host.ask("/counter", Urgent()).get(timeout=5))
            host.stop("/counter").get(timeout=5)
            with pytest.raises(DeadLetter):
                host.ask("/counter", Count()).get(timeout=5)
            return answers

        assert await asyncio.to_thread(foreign) == [501, 501]

    run(scenario)


def test_awaiting_an_answer_does_not_block_the_loop_and_get_refuses_to() -> None:
    async def scenario(host: LoopHost) -> None:
        log: list[str] = []
        host.spawn(lambda: Sleeper(log), "/sleeper")
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        task = asyncio.create_task(tick())
        future = host.ask("/sleeper", Count())
        with pytest.raises(RuntimeError, match="await"):
            future.get()
        await asyncio.gather(future_task(host), future_task(host))
        task.cancel()
        assert ticks >= 5

    async def future_task(host: LoopHost) -> None:
        await host.ask("/sleeper", Count())

    run(scenario)


def test_an_ask_without_an_answer_times_out() -> None:
    class Silent(LoopActor):
        @handles(Count)
        def count(self, message: Count, context: Context) -> None: ...

    async def scenario(host: LoopHost) -> None:
        host.spawn(Silent, "/silent")
        started = time.monotonic()
        with pytest.raises(AskTimeout):
            await host.ask("/silent", Count(), timeout_s=0.1)
        assert 0.1 <= time.monotonic() - started < 1

    run(scenario)


def test_a_leaf_service_may_await_one_message_at_a_time() -> None:
    running = 0

    class Leaf(LoopActor):
        awaits = True

        @handles(Count)
        async def count(self, message: Count, context: Context) -> Effects:
            nonlocal running
            running += 1
            assert running == 1
            await asyncio.sleep(0.01)
            running -= 1
            return [Reply(context.reply, "done")]

        @handles(Bang)
        async def bang(self, message: Bang, context: Context) -> Effects:
            raise RuntimeError(message.why)

        @handles(Finish)
        async def forever(self, message: Finish, context: Context) -> Effects:
            await asyncio.sleep(60)
            return None

    async def scenario(host: LoopHost) -> None:
        host.spawn(Leaf, "/leaf")
        assert await asyncio.gather(*[_answer(host, "/leaf") for _ in range(5)]) == ["done"] * 5
        with pytest.raises(RuntimeError, match="bang"):
            await host.ask("/leaf", Bang())
        assert await host.ask("/leaf", Count()) == "done"
        hanging = host.ask("/leaf", Finish())
        await asyncio.sleep(0.01)
        await host.stop("/leaf")
        await asyncio.sleep(0.01)
        with pytest.raises(ActorUnavailable) as caught:
            await hanging
        assert caught.value.maybe_executed

    async def _answer(host: LoopHost, address: str) -> object:
        return await host.ask(address, Count())

    run(scenario)


def test_a_turn_yields_to_others() -> None:
    async def scenario(host: LoopHost) -> None:
        log: list[str] = []
        host.spawn(lambda: Counter("a", log), "/a")
        host.spawn(lambda: Counter("b", log), "/b")
        log.clear()
        for _ in range(500):
            host.tell("/a", Count())
        future = host.ask("/b", Urgent())
        await future
        assert log.index("Urgent") == limits.MESSAGES_PER_TURN

    run(scenario)


def test_a_turn_that_holds_up_the_loop_is_reported_with_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Slow(LoopActor):
        @handles(Count)
        def hold_up_the_loop(self, message: Count, context: Context) -> Effects:
            time.sleep(4 * limits.TURN_WARN_MS / 1000)
            return [Reply(context.reply)]

    async def scenario(host: LoopHost) -> None:
        host.spawn(Slow, "/slow")
        host.spawn(Counter, "/counter")
        await host.ask("/counter", Count())
        assert host.watchdog.slow_turns == 0
        await host.ask("/slow", Count())
        assert host.watchdog.slow_turns == 1

    run(scenario)
    assert "/slow takes more than" in caplog.text and "hold_up_the_loop" in caplog.text
