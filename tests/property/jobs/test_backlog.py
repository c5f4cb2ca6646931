"""The backlog against one pending queue over everything."""

from __future__ import annotations

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.backlog import Backlog
from actors.core.pending import Pending, PendingQueue
from actors.model.spec import JobSpec, Resources

_MINUTE = 60_000
_ENTRIES = st.builds(
    Pending,
    job_id=st.sampled_from([f"j{i}" for i in range(12)]),
    task_index=st.integers(0, 1),
    priority=st.integers(0, 100),
    eligible_ms=st.integers(0, 150 * _MINUTE),
    submitted_ms=st.integers(0, 3),
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(_ENTRIES, st.integers(0, 3000)),  # an entry with the cpu that it asks for
        st.tuples(_ENTRIES, st.none()),  # to be discarded
        st.tuples(st.integers(0, 40 * _MINUTE), st.integers(0, 3000)),  # look with so much free
    ),
    max_size=40,
)


def _asking(cpu_milli: int) -> JobSpec:
    return JobSpec(name="n", type="command", resources=Resources(cpu_milli=cpu_milli))


def _fits(free: int, spec: JobSpec) -> bool:
    return spec.resources.cpu_milli <= free


@settings(max_examples=200, deadline=None)
@given(_STEPS)
def test_what_fits_comes_in_the_order_of_one_queue(
    steps: list[tuple[Pending | int, int | None]],
) -> None:
    backlog, queue, asked, now_ms = Backlog(), PendingQueue(), dict[tuple[str, int], int](), 0
    for what, cpu in [*steps, (0, 3000)]:
        if isinstance(what, Pending):
            name = what.job_id, what.task_index
            if cpu is None:
                backlog.discard(*name)
                queue.discard(*name)
                asked.pop(name, None)
            else:
                backlog.add(what, _asking(cpu))
                queue.add(what)
                asked[name] = cpu
            continue
        assert cpu is not None
        now_ms, free = now_ms + what, cpu
        everything = list(queue.best_first(now_ms))
        found = backlog.fitting(partial(_fits, free), now_ms)
        assert list(found) == [e for e in everything if asked[e.job_id, e.task_index] <= free]
        for place, entry in enumerate(everything):
            assert backlog.ahead_of(entry.job_id, entry.task_index, now_ms) == place
        assert backlog.ahead_of("nobody", 0, now_ms) is None
        assert set(backlog) == set(asked) and len(backlog) == len(asked)
