"""Restart policies, strategies, escalation and poison messages, on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from actors import limits
from actors.errors import ActorDied, DeadLetter
from actors.runtime import (
    Ask,
    Context,
    Effects,
    Failed,
    LoopActor,
    Reply,
    SimHost,
    Stop,
    ThreadActor,
    handles,
)
from actors.runtime.actor import Strategy
from tests.unit.runtime.messages import Bang, Count, Counter, Finish


class Boss(LoopActor):
    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy


class ThreadCounter(ThreadActor):
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def on_start(self) -> Effects:
        self.log.append("start thread")
        return None

    def on_stop(self) -> None:
        self.log.append("stop thread")

    @handles(Count)
    def count(self, message: Count, context: Context) -> Effects:
        return [Reply(context.reply, 1)]

    @handles(Bang)
    def bang(self, message: Bang, context: Context) -> Effects:
        raise RuntimeError(message.why)


def family(strategy: Strategy) -> tuple[SimHost, list[str]]:
    host, log = SimHost(1), []  # type: ignore[var-annotated]
    host.spawn(lambda: Boss(strategy), "/boss")
    for name in "abc":
        host.spawn(lambda name=name: Counter(name, log), f"/{name}", parent="/boss")  # type: ignore[misc]
    log.clear()
    return host, log


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["start b"]),
        ("one_for_all", ["stop c", "stop a", "start a", "start b", "start c"]),
        ("rest_for_one", ["stop c", "start b", "start c"]),
    ],
)
def test_a_crash_restarts_whom_the_strategy_says(strategy: Strategy, expected: list[str]) -> None:
    host, log = family(strategy)
    host.tell("/b", Bang())
    host.run_until(lambda: "bang" in log)
    assert [line for line in log if line != "bang"] == expected


def test_a_restart_is_a_new_object_and_keeps_the_mailbox() -> None:
    host = SimHost(1)
    made: list[Counter] = []

    def make() -> Counter:
        made.append(Counter())
        return made[-1]

    host.spawn(make, "/counter")
    assert host.call("/counter", Count()) == 1
    host.tell("/counter", Bang())
    assert host.call("/counter", Count()) == 1  # it waited while the actor crashed three times
    assert len(made) == 1 + limits.CRASHES_PER_MESSAGE
    [row] = host.inspect()
    assert (row.incarnation, row.restarts) == (4, 3)


def test_a_poison_message_becomes_a_dead_letter_with_its_traceback() -> None:
    host = SimHost(1)
    log: list[str] = []
    host.spawn(lambda: Counter("c", log), "/counter")
    with pytest.raises(RuntimeError, match="poison"):
        host.call("/counter", Bang("poison"))
    assert log.count("bang") == limits.CRASHES_PER_MESSAGE
    [row] = host.dead_letters.rows()
    assert row.message == "Bang" and "poison" in row.detail and "in bang" in row.detail


@pytest.mark.parametrize(
    ("restart", "message", "lives"),
    [
        ("permanent", Finish(), True),
        ("permanent", Bang(), True),
        ("transient", Finish(), False),
        ("transient", Bang(), True),
        ("temporary", Finish(), False),
        ("temporary", Bang(), False),
    ],
)
def test_who_is_restarted(restart: Any, message: object, lives: bool) -> None:
    host = SimHost(1)
    host.spawn(Counter, "/counter", restart=restart)
    host.tell("/counter", message)
    host.run_for(1)
    assert ("/counter" in host.cells) is lives


def test_too_many_restarts_escalate_to_the_parent_and_from_the_root_to_the_host() -> None:
    fatal: list[str] = []
    host = SimHost(1, on_fatal=lambda reason, error: fatal.append(f"{reason}: {error!r}"))
    log: list[str] = []
    host.spawn(lambda: Boss("one_for_one"), "/boss")
    host.spawn(lambda: Counter("a", log), "/a", parent="/boss")
    host.spawn(lambda: Counter("b", log), "/b", parent="/boss")
    host.tell("/a", Bang())
    host.run_for(1)
    assert host.cells["/b"].incarnation == 1
    host.tell("/a", Bang())
    host.run_for(1)
    # the sixth crash within the window is the boss's own: its other child starts anew with it
    assert host.cells["/b"].incarnation == 2
    assert host.cells["/boss"].incarnation == 2
    assert fatal == []
    for _ in range(12):
        host.tell("/a", Bang("again"))
    host.run_for(1)
    assert fatal == ["escalated: RuntimeError('again')"]


def test_restarts_that_are_far_apart_do_not_escalate() -> None:
    fatal: list[str] = []
    host = SimHost(1, on_fatal=lambda reason, error: fatal.append(reason))
    host.spawn(Counter, "/counter")
    for _ in range(10):
        host.tell("/counter", Finish())
        host.run_for(limits.RESTART_WINDOW_S / limits.RESTARTS_IN_WINDOW + 1)
    assert fatal == [] and host.cells["/counter"].incarnation == 11


def test_a_failing_first_start_is_raised_and_leaves_nothing() -> None:
    class Broken(LoopActor):
        def on_start(self) -> Effects:
            raise RuntimeError("no disk")

    host = SimHost(1)
    with pytest.raises(RuntimeError, match="no disk"):
        host.spawn(Broken, "/broken")
    assert host.inspect() == []
    host.spawn(Counter, "/broken")
    with pytest.raises(ValueError, match="taken"):
        host.spawn(Counter, "/broken")


def test_stop_ends_children_first_and_fails_who_waits() -> None:
    host, log = family("one_for_one")
    host.spawn(lambda: ThreadCounter(log), "/thread", parent="/a")
    host.run_for(1)
    waiting = host.ask("/b", Count())
    done = host.stop("/boss")
    host.run_until(lambda: done.done)
    assert log == ["start thread", "stop c", "stop b", "stop thread", "stop a"]
    with pytest.raises(ActorDied):
        waiting.get(timeout=0)
    with pytest.raises(DeadLetter):
        host.call("/b", Count())


def test_a_group_with_a_thread_restarts_in_order() -> None:
    host = SimHost(1)
    log: list[str] = []
    host.spawn(lambda: Boss("one_for_all"), "/boss")
    host.spawn(lambda: ThreadCounter(log), "/thread", parent="/boss")
    host.spawn(lambda: Counter("b", log), "/b", parent="/boss")
    host.run_for(1)
    log.clear()
    host.tell("/thread", Bang())
    host.run_for(1)
    assert log == ["stop b", "start b", "start thread"] * 3
    log.clear()
    host.tell("/b", Finish("once"))
    host.run_for(1)
    assert log == ["stop b", "stop thread", "start b", "start thread"]
    assert host.call("/thread", Count()) == 1


def test_an_answer_to_an_earlier_incarnation_is_dropped() -> None:
    host = SimHost(1)
    got: list[object] = []

    class Asker(LoopActor):
        @handles(Count)
        def ask(self, message: Count, context: Context) -> Effects:

            return [Ask("/slow", Count(), "tag", timeout_s=2)]

        @handles(Finish)
        def finish(self, message: Finish, context: Context) -> Effects:

            return [Stop("again")]

        @handles(Failed)
        def failed(self, message: Failed, context: Context) -> None:
            got.append(message)

    class Silent(LoopActor):
        @handles(Count)
        def count(self, message: Count, context: Context) -> None:
            """Never answer."""

    host.spawn(Silent, "/slow")
    host.spawn(Asker, "/asker")
    host.tell("/asker", Count())
    host.run_for(1)
    host.tell("/asker", Finish())
    host.run_for(5)
    assert got == []
    host.tell("/asker", Count())
    host.run_for(5)
    assert len(got) == 1
