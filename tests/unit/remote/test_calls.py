"""Calls: refs, arguments, order, deadlines, and waiting from threads and event loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

import actors
from actors.errors import AskTimeout, InvalidInput
from tests.unit.remote.actor_classes import Counter, Gate, Sleeper, open_gate, until_it_runs
from tests.unit.remote.plain import Unlike


def test_an_actor_in_a_few_lines() -> None:
    @actors.remote
    class Adder:
        def __init__(self, start: int = 0) -> None:
            self.n = start

        def add(self, k: int) -> int:
            self.n += k
            return self.n

    counter = cast(Any, Adder).options(name="c", max_restarts=3).remote(10)
    assert actors.get(counter.add.remote(5)) == 15
    assert actors.get_actor("c").add.remote(k=1).get() == 16


def test_calls_of_one_caller_keep_their_order() -> None:
    counter = Counter.remote()
    refs = [counter.add.remote() for _ in range(1000)]
    assert actors.get(refs) == list(range(1, 1001))


def test_plain_methods_run_in_a_thread_of_the_actors_own() -> None:
    first, second = Counter.remote(), Counter.remote()
    threads = actors.get([first.thread.remote(), first.thread.remote(), second.thread.remote()])
    assert threads[0] == threads[1] != threads[2]
    assert threading.get_ident() not in threads


def test_a_blocked_actor_holds_up_no_other() -> None:
    gate, counter, sleeper = Gate.remote(), Counter.remote(), Sleeper.remote()
    blocked = gate.wait.remote("other")
    assert counter.add.remote().get(timeout=5) == 1
    assert sleeper.nap.remote(0, "x").get(timeout=5) == "x"
    with pytest.raises(AskTimeout):
        blocked.get(timeout=0.01)
    open_gate("other")
    assert blocked.get(timeout=5) == 1  # the call went on


@pytest.mark.parametrize("name", ["_hidden", "shown", "kind", "ad"])
def test_only_public_methods_can_be_called(name: str) -> None:
    counter = Counter.remote()
    with pytest.raises(AttributeError):
        getattr(counter, name)
    assert name not in dir(counter)
    with pytest.raises(actors.NotFound, match="Counter has no method"):
        # What a peer sends is not bound by our handles.
        counter._caller.call(counter._address, name, (), {}, None).get()


def test_a_misspelt_method_or_option_is_told_its_neighbour() -> None:
    with pytest.raises(AttributeError, match="did you mean 'add'"):
        Counter.remote().ad  # noqa: B018
    with pytest.raises(TypeError, match="did you mean 'max_restarts'"):
        Counter.options(max_restart=1)
    with pytest.raises(TypeError, match="of type int"):
        Counter.options(max_restarts="1")
    with pytest.raises(InvalidInput):
        Counter.options(max_pending=0)
    with pytest.raises(InvalidInput):
        Counter.options(name="No Name")


def test_calls_without_remote_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Counter\.remote"):
        Counter()
    with pytest.raises(TypeError, match=r"add\.remote"):
        Counter.remote().add(1)
    with pytest.raises(TypeError, match="job"):
        actors.remote(len)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        Counter.remote(1, 2)


def test_a_class_can_be_derived_and_tested_by_itself() -> None:
    class Twice(Counter):  # type: ignore[valid-type,misc]
        def add(self, k: int = 1) -> int:
            return int(super().add(2 * k))

    assert Counter.wrapped(1).add() == 2
    twice = actors.remote(Twice).remote(1)
    assert twice.add.remote(2).get() == 5
    assert twice.lookup.remote("a").get() == 1


def test_refs_are_resolved_before_the_call() -> None:
    counter, gate = Counter.remote(), Gate.remote()
    assert counter.add.remote(k=counter.add.remote(2)).get() == 4
    late = gate.wait.remote("late")
    first = counter.add.remote(late)
    second = counter.add.remote(10)  # made later, so it runs later
    open_gate("late")
    assert actors.get([first, second]) == [5, 15]


def test_a_failed_ref_fails_the_call_that_it_is_an_argument_of() -> None:
    counter = Counter.remote()
    with pytest.raises(Unlike):
        counter.add.remote(counter.fail.remote("no")).get()
    assert counter.add.remote().get() == 1


def test_get_raises_as_soon_as_one_has_failed() -> None:
    gate, counter = Gate.remote(), Counter.remote()
    with pytest.raises(Unlike):
        actors.get([gate.wait.remote("never"), counter.fail.remote("no")], timeout=5)
    with pytest.raises(AskTimeout):
        actors.get([gate.wait.remote("never")], timeout=0.01)
    with pytest.raises(TypeError):
        actors.get([1])  # type: ignore[arg-type]
    open_gate("never")


def test_wait_tells_done_from_pending() -> None:
    gate, counter = Gate.remote(), Counter.remote()
    refs = [gate.wait.remote("w"), counter.add.remote(), counter.fail.remote("no")]
    done, pending = actors.wait(refs, num_returns=2, timeout=5)
    assert (done, pending) == (refs[1:], refs[:1])
    assert actors.wait(refs[:1], timeout=0.01) == ([], refs[:1])
    open_gate("w")
    assert actors.wait(refs, num_returns=3, timeout=5) == (refs, [])
    with pytest.raises(InvalidInput):
        actors.wait(refs, num_returns=4)


def test_a_call_with_a_deadline_ends_by_itself_and_is_not_begun_after_it() -> None:
    gate = Gate.remote()
    blocked = gate.wait.remote("deadline")
    late = gate.now.options(timeout=0.05).remote()
    with pytest.raises(AskTimeout, match="deadline"):
        late.get()
    open_gate("deadline")
    assert blocked.get(timeout=5) == 1


def test_any_event_loop_can_await() -> None:
    counter, sleeper = Counter.remote(), Sleeper.remote()

    async def main() -> None:
        assert await counter.add.remote() == 1
        assert await asyncio.gather(*[counter.add.remote() for _ in range(3)]) == [2, 3, 4]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_awaited(sleeper.nap.remote(5)), 0.01)
        # A notebook's cells run inside of a loop and may block it all the same.
        assert counter.add.remote().get(timeout=5) == 5

    async def _awaited(ref: actors.Ref[object]) -> object:
        return await ref

    asyncio.run(main())


def test_an_async_method_awaits_others_and_must_not_block() -> None:
    counter = Counter.remote()

    class Caller:
        async def twice(self) -> int:
            return int(await counter.add.remote()) + int(await counter.add.remote())

        async def block(self) -> object:
            return counter.add.remote().get()

    caller = actors.remote(Caller).remote()
    assert caller.twice.remote().get(timeout=5) == 3
    with pytest.raises(RuntimeError, match="await"):
        caller.block.remote().get(timeout=5)


def test_threads_wait_for_each_others_refs() -> None:
    counter = Counter.remote()
    sums: list[int] = []

    def work() -> None:
        sums.extend(actors.get([counter.add.remote() for _ in range(200)]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sums) == list(range(1, 801))


def test_a_mailbox_has_a_bound() -> None:
    gate = Gate.options(max_pending=2).remote()
    running = gate.wait.remote("bound")
    until_it_runs(gate)
    waiting = [gate.now.remote() for _ in range(2)]
    with pytest.raises(actors.MailboxFull):
        gate.now.remote().get(timeout=5)
    open_gate("bound")
    assert actors.get([running, *waiting], timeout=5) == [1, 1, 1]


def test_concurrency_is_as_asked() -> None:
    one = Sleeper.remote()
    actors.get([one.nap.remote(0.001) for _ in range(5)])
    assert one.busiest.remote().get() == 1
    five = Sleeper.options(max_concurrency=5).remote()
    actors.get([five.nap.remote(0.05) for _ in range(10)])
    assert five.busiest.remote().get() == 5
    gates = Gate.options(max_concurrency=2).remote()
    blocked = gates.wait.remote("two")
    assert gates.now.remote().get(timeout=5) == 0
    open_gate("two")
    assert blocked.get(timeout=5) == 1


def test_who_polls_a_ref_leaves_nothing_behind() -> None:
    gate = Gate.remote()
    refs = [gate.wait.remote("polled"), gate.now.remote()]

    async def poll() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(refs[0], 0.01)

    for _ in range(5):
        for look in (refs[0].get, lambda timeout: actors.get(refs, timeout=timeout)):
            with pytest.raises(actors.AskTimeout):
                look(timeout=0.001)
        assert actors.wait(refs, timeout=0.001) == ([], refs)
        asyncio.run(poll())
    assert not any(ref._callbacks for ref in refs)
    open_gate("polled")
    assert actors.get(refs, timeout=5) == [1, 1]


def test_what_is_no_ref_is_said_so() -> None:
    with pytest.raises(TypeError, match="not a ref: 3"):
        actors.get(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not a ref: 3"):
        actors.wait([3])  # type: ignore[arg-type]
