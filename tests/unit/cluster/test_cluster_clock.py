"""The cluster's clock: a median, set with care, never back; whose machine is off keeps no time."""

from __future__ import annotations

import itertools

import pytest

from actors.core.cluster_clock import SKEW_MS, ClusterClock

NOW = 1_790_000_000_000
IN_2099 = 4_070_908_800_000
IN_1970 = 12_345
VOTERS = ("a", "b", "c")
WAIT = 5_000


class Machine:
    """Its wall clock is `off_ms` from the true one; its monotonic clock began elsewhere."""

    def __init__(self, wall_ms: int = NOW) -> None:
        self.wall_ms = wall_ms
        self.true_ms = NOW
        self._mono_ms = 77_000

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self._mono_ms / 1000

    def pass_ms(self, ms: int, *, asleep: bool = False) -> None:
        self.wall_ms += ms
        self.true_ms += ms
        if not asleep:
            self._mono_ms += ms


def clock_of(
    machine: Machine, node: str = "a", voters: tuple[str, ...] = VOTERS, stamped_ms: int = 0
) -> ClusterClock:
    clock = ClusterClock(machine, node, wait_ms=WAIT)
    clock.follow(voters, stamped_ms)
    return clock


def test_a_node_alone_has_its_own_clock_as_it_is() -> None:
    machine = Machine()
    clock = clock_of(machine, voters=("a",))
    assert (clock.now_ms(), clock.is_set, clock.keeps_time) == (NOW, True, True)
    machine.wall_ms -= 3_600_000
    clock.tick()
    assert (clock.now_ms(), clock.skew_ms) == (NOW - 3_600_000, 0)
    clock.hear("w", IN_2099)  # a worker has no say
    assert clock.now_ms() == NOW - 3_600_000


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
@pytest.mark.parametrize("wrong_ms", [IN_2099, IN_1970])
def test_one_wrong_clock_of_three_is_never_seen(order: tuple[str, ...], wrong_ms: int) -> None:
    """In whatever order they are heard, by each of the three, as soon as the clock is set."""
    for node in VOTERS:
        machine = Machine(wrong_ms if node == "c" else NOW)
        clock = clock_of(machine, node)
        for other in order:
            if other != node:
                clock.hear(other, wrong_ms if other == "c" else NOW - 3)
            assert not clock.is_set or abs(clock.now_ms() - NOW) < 10
        assert clock.is_set
        assert clock.keeps_time == (node != "c")


@pytest.mark.parametrize("wrong_ms", [IN_2099, IN_1970])
def test_two_that_disagree_are_no_majority_until_the_third_was_waited_for(wrong_ms: int) -> None:
    machine = Machine()
    clock = clock_of(machine, stamped_ms=NOW - 60_000)
    clock.hear("c", wrong_ms)
    machine.pass_ms(WAIT - 1)
    clock.hear("c", wrong_ms + WAIT - 1)
    assert not clock.is_set
    assert not clock.keeps_time
    machine.pass_ms(1)
    clock.tick()
    assert clock.is_set
    assert clock.now_ms() == machine.true_ms  # what the cluster has stamped excludes 1970
    clock.hear("b", machine.true_ms)
    assert clock.now_ms() == machine.true_ms


def test_the_wait_begins_when_a_majority_is_there() -> None:
    """Cut off for long since its boot, b hears first who is as wrong as itself."""
    machine = Machine(NOW + 3_600_000)
    clock = clock_of(machine, "b", ("a", "b", "c", "d", "e"))
    machine.pass_ms(10 * WAIT)
    clock.tick()
    clock.hear("a", machine.true_ms)
    clock.hear("c", IN_2099)
    assert not clock.is_set
    clock.hear("d", machine.true_ms)
    clock.hear("e", machine.true_ms)
    assert clock.now_ms() == machine.true_ms


def test_two_that_agree_set_it_at_once() -> None:
    clock = clock_of(Machine())
    clock.hear("b", NOW - SKEW_MS)
    assert clock.is_set
    assert clock.now_ms() == NOW - SKEW_MS  # the lower of two
    assert clock.keeps_time


def test_a_worker_takes_the_voters_word_and_knows_that_it_is_off() -> None:
    clock = clock_of(Machine(IN_2099), "w")
    clock.hear("a", NOW)
    assert not clock.is_set
    clock.hear("b", NOW)
    assert (clock.now_ms(), clock.skew_ms) == (NOW, IN_2099 - NOW)
    assert not clock.keeps_time


def test_its_own_wall_clock_may_step_and_the_time_stays() -> None:
    machine = Machine()
    clock = clock_of(machine)
    clock.hear("b", NOW)
    clock.hear("c", NOW)
    for step_ms in (3_600_000, -7_200_000):
        machine.wall_ms += step_ms
        machine.pass_ms(1_000)
        clock.tick()
        assert clock.now_ms() == machine.true_ms
        assert not clock.keeps_time
    machine.wall_ms = machine.true_ms
    clock.tick()
    assert clock.keeps_time


def test_a_statement_that_was_held_up_is_not_counted() -> None:
    machine = Machine()
    clock = clock_of(machine)
    for _ in range(3):
        machine.pass_ms(1_000)
        clock.hear("b", machine.true_ms)
        clock.hear("c", machine.true_ms)
    machine.pass_ms(3_000)
    clock.hear("b", machine.true_ms - 3_000)
    clock.hear("c", machine.true_ms - 2_500)
    assert clock.now_ms() == machine.true_ms
    assert clock.keeps_time


def test_a_clock_that_was_set_back_counts_after_five_statements() -> None:
    machine = Machine()
    clock = clock_of(machine, "w", ("a",))
    for _ in range(5):
        clock.hear("a", NOW)
    for _ in range(4):
        clock.hear("a", NOW - 60_000)
    assert clock.skew_ms == 0
    clock.hear("a", NOW - 60_000)
    assert clock.skew_ms == 60_000


def test_it_never_goes_back_and_is_caught_up_with_at_half_speed() -> None:
    machine = Machine()
    clock = clock_of(machine)
    clock.hear("b", NOW + 10_000)
    clock.hear("c", NOW + 10_000)
    assert clock.now_ms() == NOW + 10_000
    for _ in range(5):
        clock.hear("b", NOW)
        clock.hear("c", NOW)
    seen = [clock.now_ms()]
    for _ in range(30_000 // 7):
        machine.pass_ms(7)
        seen.append(clock.now_ms())
    assert seen == sorted(seen)
    assert seen[1_000] == pytest.approx(NOW + 10_000 + 3_500, abs=2)
    assert seen[-1] == machine.true_ms


def test_after_a_sleep_it_goes_forward_at_once() -> None:
    """The monotonic clock stands still while a machine sleeps."""
    machine = Machine()
    clock = clock_of(machine)
    clock.hear("b", NOW)
    clock.hear("c", NOW)
    machine.pass_ms(8 * 3_600_000, asleep=True)
    assert clock.now_ms() == NOW
    clock.hear("b", machine.true_ms)
    assert clock.now_ms() == machine.true_ms


def test_a_cluster_that_shrinks_to_one_goes_on_from_its_time() -> None:
    machine = Machine()
    clock = clock_of(machine)
    clock.hear("b", NOW + 400)
    clock.hear("c", NOW + 400)
    assert clock.now_ms() == NOW + 400
    clock.follow(("a",), 0)
    machine.pass_ms(100)
    assert clock.now_ms() == NOW + 450
    machine.pass_ms(10_000)
    assert clock.now_ms() == machine.true_ms


def test_new_voters_are_waited_for_while_the_old_time_goes_on() -> None:
    machine = Machine()
    clock = clock_of(machine, "a", ("a", "b"))
    clock.hear("b", NOW)
    clock.follow(("c", "d", "e"), 0)
    machine.pass_ms(2_000)
    assert clock.is_set
    assert clock.now_ms() == machine.true_ms
