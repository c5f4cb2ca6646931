"""The pending queue against a plain sort."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.pending import Pending, PendingQueue, effective_priority

_MINUTE = 60_000
_ENTRIES = st.builds(
    Pending,
    job_id=st.sampled_from([f"j{i}" for i in range(12)]),
    task_index=st.integers(0, 2),
    priority=st.integers(0, 100),
    eligible_ms=st.integers(0, 150 * _MINUTE),
    submitted_ms=st.integers(0, 3),
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _ENTRIES),
        st.tuples(st.just("discard"), _ENTRIES),
        st.tuples(st.just("look"), st.integers(0, 40 * _MINUTE)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(_STEPS)
def test_the_order_is_that_of_a_sort(steps: list[tuple[str, Pending | int]]) -> None:
    queue, plain, now_ms = PendingQueue(), dict[tuple[str, int], Pending](), 0
    for step, what in [*steps, ("look", 0)]:
        if isinstance(what, int):
            now_ms += what
            assert list(queue.best_first(now_ms)) == _sorted(plain, now_ms)
            for place, entry in enumerate(_sorted(plain, now_ms)):
                assert queue.get(entry.job_id, entry.task_index) == entry
                assert queue.better_than(entry, now_ms) == place
        elif step == "add":
            queue.add(what)
            plain[what.job_id, what.task_index] = what
        else:
            queue.discard(what.job_id, what.task_index)
            plain.pop((what.job_id, what.task_index), None)
        assert len(queue) == len(plain)


def _sorted(plain: dict[tuple[str, int], Pending], now_ms: int) -> list[Pending]:
    """By effective priority, then submission."""

    def order(entry: Pending) -> tuple[int, int, str, int]:
        priority = effective_priority(entry, now_ms)
        return -priority, entry.submitted_ms, entry.job_id, entry.task_index

    return sorted(plain.values(), key=order)


@given(st.integers(0, 100), st.integers(0, 10**12), st.integers(0, 10**10))
def test_waiting_adds_a_point_a_minute_up_to_the_cap(
    priority: int, eligible_ms: int, waited_ms: int
) -> None:
    entry = Pending("j", 0, priority, eligible_ms, eligible_ms)
    effective = effective_priority(entry, eligible_ms + waited_ms)
    minutes = waited_ms // _MINUTE
    assert min(100, priority + minutes) <= effective <= min(100, priority + minutes + 1)
