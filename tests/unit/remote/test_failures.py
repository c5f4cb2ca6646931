"""What callers get: a method's exception, a crash, the end of an actor, a cancelled call."""

from __future__ import annotations

import sys
import threading
import time

import pytest

import actors
from actors.errors import ActorDied, ActorUnavailable, JobdError
from actors.runtime.remote.task_error import as_raised_here, task_error
from tests.unit.remote import plain
from tests.unit.remote.actor_classes import (
    Counter,
    Flaky,
    Gate,
    Sleeper,
    open_gate,
    row_of,
    until_it_runs,
)
from tests.unit.remote.plain import Unlike


def test_an_exception_of_a_method_is_also_of_its_own_type() -> None:
    counter = Counter.remote()
    with pytest.raises(Unlike) as raised:
        counter.fail.remote("no").get()
    error = raised.value
    assert isinstance(error, actors.TaskError)
    assert error.args == ("no", 7)
    assert "Counter.fail" in str(error)
    assert isinstance(error.__cause__, Unlike)
    assert "raise Unlike(why, 7)" in error.remote_traceback
    with pytest.raises(KeyError):
        counter.lookup.remote("b").get()
    assert counter.add.remote().get() == 1  # it goes on


def from_elsewhere(name: str, values: object = ("no",)) -> actors.TaskError:
    failed = actors.TaskError("X: no (in C.f)")
    failed.exception, failed.values = name, values  # type: ignore[assignment]
    failed.remote_traceback = "Traceback of elsewhere"
    return as_raised_here(failed)


@pytest.mark.parametrize("name", ["ValueError", "OSError", "UnicodeDecodeError", "StopIteration"])
def test_built_in_exceptions_are_known_everywhere(name: str) -> None:
    error = from_elsewhere(f"builtins:{name}")
    assert type(error).__name__ == f"TaskError[{name}]"
    assert str(error) == "X: no (in C.f)"
    assert "Traceback of elsewhere" in error.__notes__[0]


@pytest.mark.parametrize(
    "name",
    ["wave:Error", "builtins:SystemExit", "builtins:print", "sys:modules", "nowhere", "", ":", 7],
)
def test_what_a_peer_names_is_not_imported_nor_anything_but_an_exception(name: str) -> None:
    sys.modules.pop("wave", None)
    error = from_elsewhere(name)
    assert type(error) is actors.TaskError
    assert "wave" not in sys.modules


@pytest.mark.parametrize("values", [None, 7, "text", {"a": 1}])
def test_values_of_a_peer_may_be_anything(values: object) -> None:
    assert isinstance(from_elsewhere("builtins:ValueError", values), ValueError)


def test_exceptions_inside_a_class_and_of_ours_keep_their_type() -> None:
    error = as_raised_here(task_error(JobdError("x"), "C.f"))
    assert type(error) is actors.TaskError  # it is a JobdError already
    assert isinstance(as_raised_here(task_error(ActorDied("x"), "C.f")), ActorDied)


def test_a_failure_travels_through_actors_that_call_each_other() -> None:
    counter = Counter.remote()

    class Caller:
        def call(self) -> object:
            return counter.fail.remote("deep").get()

    with pytest.raises(Unlike, match=r"Counter\.fail.*called by Caller\.call"):
        actors.remote(Caller).remote().call.remote().get(timeout=5)


def test_a_constructor_that_raises_is_the_actors_death() -> None:
    broken = Counter.options(name="broken", max_restarts=5).remote(-1)
    with pytest.raises(ActorDied, match="-1 is below zero") as raised:
        broken.add.remote().get(timeout=5)
    assert "raise ValueError" in raised.value.reason
    with pytest.raises(actors.NotFound):
        actors.get_actor("broken")


@pytest.mark.parametrize("cls", [Counter, Sleeper])
def test_a_crash_restarts_while_restarts_are_left(cls: actors.ActorClass[object]) -> None:
    actor = cls.options(max_restarts=1).remote()
    with pytest.raises(ActorUnavailable, match="SystemExit") as raised:
        actor.crash.remote().get(timeout=5)
    assert raised.value.maybe_executed
    with pytest.raises(ActorDied, match="SystemExit") as died:
        actor.crash.remote().get(timeout=5)
    assert (died.value.reason, died.value.last_call) == ("SystemExit: crash", "crash")
    with pytest.raises(ActorDied, match="SystemExit"):
        actor.crash.remote().get(timeout=5)


def test_the_constructor_runs_again_and_what_waited_stays() -> None:
    counter = Counter.options(max_restarts=-1).remote(10)
    refs = [counter.add.remote(5), counter.crash.remote(), counter.add.remote(1)]
    assert refs[2].get(timeout=5) == 11
    assert refs[0].get() == 15
    row = row_of(counter)
    assert (row.incarnation, row.restarts, row.handled) == (2, 1, 3)


def test_a_call_that_a_crash_interrupts_is_run_again_as_often_as_allowed() -> None:
    flaky = Flaky.options(max_restarts=-1, max_task_retries=2)
    plain.Flaky.runs = 0
    assert flaky.remote().crash_until.remote(3).get(timeout=5) == 3
    plain.Flaky.runs = 0
    with pytest.raises(ActorUnavailable):
        flaky.remote().crash_until.remote(4).get(timeout=5)


def test_kill_ends_for_good_and_frees_the_name() -> None:
    counter = Counter.options(name="victim", max_restarts=3).remote()
    counter.add.remote().get()
    actors.kill(counter)
    with pytest.raises(ActorDied, match="was killed") as died:
        counter.add.remote().get(timeout=5)
    assert (died.value.reason, died.value.last_call) == ("killed", "add")
    actors.kill(counter)
    assert Counter.options(name="victim").remote(3).add.remote().get() == 4


def test_kill_with_a_restart_ends_the_incarnation_only() -> None:
    counter = Counter.options(max_restarts=1).remote(5)
    counter.add.remote().get()
    actors.kill(counter, no_restart=False)
    assert counter.add.remote().get(timeout=5) == 6
    actors.kill(counter, no_restart=False)
    with pytest.raises(ActorDied):
        counter.add.remote().get(timeout=5)


class Twice:
    """Crashes, or answers, once its gate is open."""

    made = 0

    def __init__(self) -> None:
        Twice.made += 1
        self.number = Twice.made

    def crash_at(self, name: str) -> None:
        assert plain.GATES.setdefault(name, threading.Event()).wait(10)
        raise SystemExit(name)

    def pass_at(self, name: str) -> int:
        number = self.number
        assert plain.GATES.setdefault(f"{name} {number}", threading.Event()).wait(10)
        return number

    def which(self) -> int:
        return self.number


def test_an_incarnation_crashes_once_and_not_for_the_next_one() -> None:
    Twice.made = 0
    actor = actors.remote(Twice).options(max_concurrency=2, max_restarts=5).remote()
    crashing = [actor.crash_at.remote("two crashes") for _ in range(2)]
    until_it_runs(actor)
    open_gate("two crashes")
    for ref in crashing:
        with pytest.raises(ActorUnavailable):
            ref.get(timeout=5)
    assert actor.which.remote().get(timeout=5) == 2
    assert (row_of(actor).incarnation, Twice.made) == (2, 2)
    late = actor.crash_at.remote("late crash")
    until_it_runs(actor)
    actors.kill(actor, no_restart=False)
    assert actor.which.remote().get(timeout=5) == 3
    open_gate("late crash")
    with pytest.raises(ActorUnavailable):
        late.get(timeout=5)
    time.sleep(0.1)
    assert actor.which.remote().get(timeout=5) == 3


def test_a_call_that_is_run_again_is_answered_by_the_new_incarnation() -> None:
    Twice.made = 0
    actor = actors.remote(Twice).options(max_restarts=5, max_task_retries=1).remote()
    ref = actor.pass_at.remote("again")
    until_it_runs(actor)
    actors.kill(actor, no_restart=False)
    open_gate("again 1")
    with pytest.raises(actors.AskTimeout):
        ref.get(timeout=0.2)
    open_gate("again 2")
    assert ref.get(timeout=5) == 2


def test_kill_does_not_wait_for_a_method_that_runs() -> None:
    gate = Gate.remote()
    running, waiting = gate.wait.remote("killed"), gate.now.remote()
    actors.kill(gate, timeout=5)
    for ref in (running, waiting):
        with pytest.raises(ActorDied):
            ref.get(timeout=5)
    open_gate("killed")


def test_names_are_unique_in_their_namespace() -> None:
    first = Counter.options(name="n").remote()
    with pytest.raises(actors.Conflict):
        Counter.options(name="n").remote()
    assert Counter.options(name="n", get_if_exists=True).remote() == first
    other = Counter.options(name="n", namespace="b").remote()
    assert other != first
    assert actors.get_actor("n", namespace="b") == other
    with pytest.raises(actors.NotFound, match="nosuch"):
        actors.get_actor("nosuch")


def test_a_call_that_waits_can_be_cancelled_and_one_that_runs_says_that_it_can_not() -> None:
    gate = Gate.remote()
    running, waiting = gate.wait.remote("cancel"), gate.now.remote()
    until_it_runs(gate, waiting=1)
    assert actors.cancel(waiting)
    with pytest.raises(actors.Cancelled):
        waiting.get(timeout=5)
    assert not actors.cancel(running)
    open_gate("cancel")
    assert running.get(timeout=5) == 1
    assert not actors.cancel(running)
    assert gate.now.remote().get() == 1


def test_a_coroutine_is_cancelled_where_it_awaits_and_its_actor_goes_on() -> None:
    sleeper = Sleeper.remote()
    napping, after = sleeper.nap.remote(60), sleeper.nap.remote(0, "after")
    until_it_runs(sleeper, waiting=1)
    assert actors.cancel(napping)
    with pytest.raises(actors.Cancelled, match=r"Sleeper\.nap"):
        napping.get(timeout=5)
    assert after.get(timeout=5) == "after"
