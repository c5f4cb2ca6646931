"""The checker of linearizability: what it must accept, what it must refuse, and its cost."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from tests.sim.consensus.linearizable import Operation, check


def write(value: str, invoked: float, returned: float | None) -> Operation:
    return Operation("k", "write", value, invoked, returned)


def read(value: str | None, invoked: float, returned: float) -> Operation:
    return Operation("k", "read", value, invoked, returned)


def cas(
    expected: str | None, value: str, invoked: float, returned: float | None, ok: bool = True
) -> Operation:
    return Operation("k", "cas", value, invoked, returned, expected, ok)


def test_nothing_is_linearizable() -> None:
    assert check([]).ok


def test_a_read_may_see_a_write_under_way_or_not() -> None:
    assert check([write("a", 0, 10), read("a", 1, 2)]).ok
    assert check([write("a", 0, 10), read(None, 1, 2)]).ok


def test_a_read_that_forgets_what_was_answered_is_seen() -> None:
    verdict = check([write("a", 0, 1), read(None, 2, 3)])
    assert verdict.ok is False
    assert verdict.key == "k"
    assert "not linearizable" in str(verdict)


def test_time_does_not_go_back_between_two_reads() -> None:
    assert check([write("a", 0, 10), read("a", 1, 2), read(None, 3, 4)]).ok is False


def test_an_unanswered_write_may_take_effect_late_or_never() -> None:
    assert check([write("a", 0, None), read(None, 5, 6), read("a", 7, 8)]).ok
    assert check([write("a", 0, None), read(None, 5, 6)]).ok
    assert check([write("a", 0, None), read("a", 5, 6), read(None, 7, 8)]).ok is False


def test_one_of_two_swaps_from_the_same_value_wins() -> None:
    assert check([cas(None, "a", 0, 5), cas(None, "b", 0, 5, ok=False)]).ok
    assert check([cas(None, "a", 0, 5), cas(None, "b", 0, 5)]).ok is False


def test_a_swap_may_fail_because_of_a_write_that_nobody_saw() -> None:
    assert check([write("a", 0, None), cas(None, "b", 1, 2, ok=False)]).ok
    assert check([cas(None, "b", 1, 2, ok=False)]).ok is False


def test_an_unanswered_swap_may_fail() -> None:
    assert check([cas("x", "b", 0, None), read(None, 1, 2), read("b", 3, 4)]).ok is False
    assert check([cas(None, "b", 0, None), read(None, 1, 2), read("b", 3, 4)]).ok


def test_keys_are_judged_apart() -> None:
    other = Operation("other", "read", "x", 0, 1)
    assert check([write("a", 0, 1), read("a", 2, 3), other]).key == "other"


def test_the_limit_leaves_it_open() -> None:
    history = [write(f"{i}", 0, 100) for i in range(30)] + [read("none", 0, 100)]
    assert check(history, limit=1000).ok is None


def generated(seed: int, operations: int, clients: int) -> list[Operation]:
    """A history made from an order: each call takes effect at a moment within it."""
    rng = random.Random(seed)
    free = [0.0] * clients
    calls = []
    for number in range(operations):
        client = free.index(min(free))
        invoked = free[client]
        returned = invoked + rng.expovariate(1)
        calls.append((rng.uniform(invoked, returned), invoked, returned, number, client))
        free[client] = returned + rng.random() * 0.1
    state: str | None = None
    history = []
    for _, invoked, returned, number, client in sorted(calls):
        kind = rng.choice(("read", "write", "cas"))
        value, expected, ok = f"{number}", rng.choice((state, "other")), True
        answered = returned if kind == "read" or rng.random() < 0.97 else None
        if kind == "read":
            history.append(Operation("k", "read", state, invoked, answered, client=f"{client}"))
            continue
        if kind == "cas":
            ok = state == expected
        state = value if ok else state
        history.append(Operation("k", kind, value, invoked, answered, expected, ok, f"{client}"))
    return history


@given(st.integers(0, 10_000))
def test_what_an_order_explains_is_accepted(seed: int) -> None:
    assert check(generated(seed, 60, 5)).ok


@given(st.integers(0, 10_000))
def test_one_wrong_read_is_seen(seed: int) -> None:
    history = generated(seed, 60, 5)
    place = next(i for i, o in enumerate(history) if o.kind == "read")
    history[place] = history[place]._replace(value="never written")
    assert check(history).ok is False


def test_some_hundreds_of_operations_take_little_time() -> None:
    began = time.perf_counter()
    assert check(generated(1, 400, 6)).ok
    assert time.perf_counter() - began < 5
