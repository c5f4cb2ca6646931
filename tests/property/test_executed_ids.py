"""Executed ids as intervals are the same set as the ids themselves."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from actors.core.consensus.executed_ids import ExecutedIds

_IDS = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(0, 12))


@given(st.lists(_IDS, unique=True))
def test_it_holds_exactly_what_was_added(ids: list[tuple[int, int, int]]) -> None:
    executed = ExecutedIds()
    for id_ in ids:
        assert id_ not in executed
        executed.add(id_)
    everything = [(r, i, n) for r in (1, 2, 3) for i in (1, 2) for n in range(14)]
    assert {id_ for id_ in everything if id_ in executed} == set(ids)
    restored = ExecutedIds(executed.dump())
    assert restored.dump() == executed.dump()
    assert all(id_ in restored for id_ in ids)
    assert all(low <= high for _, _, pairs in executed.dump() for low, high in pairs)
    for _, _, pairs in executed.dump():
        assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(pairs))  # merged
