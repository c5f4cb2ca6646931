"""Who is named the leader, and when the level of a cluster rises."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.core.leadership import take_lead
from actors.core.level import level_of, raise_level
from actors.core.session import end_session, open_session
from actors.core.store.state import State
from actors.core.store.txn import Committed, Conflict, Txn
from actors.model import keys
from actors.model.codec import encode
from actors.model.node import NodeRecord

NOW = 1_790_000_000_000


def commit(state: State, txn: Txn | None) -> Any:
    assert txn is not None
    return state.apply(txn)


def test_a_change_is_told_once_by_whom_it_names() -> None:
    state = State()
    both = [take_lead(state, "a", NOW), take_lead(state, "b", NOW)]
    assert isinstance(commit(state, both[0]), Committed)
    assert isinstance(commit(state, both[1]), Conflict)
    assert take_lead(state, "a", NOW + 1) is None
    commit(state, take_lead(state, "b", NOW + 2))
    told = [(event.type, event.data) for event in state.take_events()]
    assert told == [
        ("jobd:leader:changed", {"node": "a", "before": ""}),
        ("jobd:leader:changed", {"node": "b", "before": "a"}),
    ]


def test_a_proposal_from_before_a_change_conflicts() -> None:
    state = State()
    commit(state, take_lead(state, "a", NOW))
    late = take_lead(state, "b", NOW)
    commit(state, take_lead(state, "c", NOW))
    assert isinstance(commit(state, late), Conflict)


def cluster(**levels: int) -> State:
    state = State()
    for node, level in levels.items():
        record = NodeRecord(node, level=level)
        commit(state, open_session(state, node, 1, node, NOW, record=record))
    return state


@pytest.mark.parametrize(
    ("levels", "level"),
    [
        ({"a": 1, "b": 1}, None),
        ({"a": 2, "b": 1, "w": 2}, None),
        ({"a": 2, "b": 2, "w": 1}, None),  # a worker reads too
        ({"a": 2, "b": 3, "w": 2}, 2),
        ({"a": 2}, None),  # b votes and has never been there
    ],
)
def test_the_level_rises_with_the_last_node(levels: dict[str, int], level: int | None) -> None:
    state = cluster(**levels)
    txn = raise_level(state, ("a", "b"), NOW)
    assert (txn is not None) == (level is not None)
    if txn is not None:
        commit(state, txn)
    assert level_of(state) == (level or 1)


def test_a_worker_that_is_gone_holds_nothing_up_and_the_level_never_falls() -> None:
    state = cluster(a=2, b=2, w=1)
    commit(state, end_session(state, "w", "lost", NOW))
    commit(state, raise_level(state, ("a", "b"), NOW))
    assert level_of(state) == 2
    commit(state, open_session(state, "w", 2, "w", NOW, record=NodeRecord("w", level=1)))
    assert raise_level(state, ("a", "b"), NOW) is None
    assert level_of(state) == 2


def test_what_a_node_says_of_itself_is_put_beside_its_session() -> None:
    state = cluster(a=1)
    record = state.get(keys.node("a"))
    opened = state.get(keys.session("a"))
    assert record is not None
    assert opened is not None
    assert record.revision == opened.revision
    cordoned = msgspec.structs.replace(record.noun, cordoned=True)
    commit(state, Txn((), ((keys.node("a"), encode(cordoned)),), now_ms=NOW))
    again = open_session(state, "a", 2, "a", NOW, record=NodeRecord("a", "here:7800"))
    commit(state, again)
    record = state.get(keys.node("a"))
    assert record is not None
    assert (record.noun.cordoned, record.noun.address) == (True, "here:7800")
    same = open_session(state, "a", 3, "a", NOW, record=NodeRecord("a", "here:7800"))
    assert [key for key, _ in same.ops] == [keys.session("a")]
