"""Who may get a vote, who may lose it, and what the next epoch is then."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import membership
from actors.core.consensus.quorums import Quorums
from actors.errors import ConfigError, Conflict, JobdError, NotFound
from actors.model.epoch import Epoch, Member

THREE = Epoch(4, "c", (Member("a"), Member("b"), Member("c")), 2, 70)
ALL = frozenset("abcdefgh")


def add(epoch: Epoch, node: str, **over: Any) -> membership.EpochChange:
    found = {"lag": 0, "alive": ALL, "now_ms": 5, **over}
    return membership.add(epoch, Member(node, f"{node}:7800"), **found)


def test_one_more_member_is_the_next_epoch() -> None:
    change = add(THREE, "d")
    assert change.epoch == Epoch(5, "c", (*THREE.members, Member("d", "d:7800")), 2)
    assert change.warning == ""
    (event,) = change.txn.events
    assert (event.type, event.data["members"]) == ("jobd:epoch:changed", ["a", "b", "c", "d"])
    assert change.txn.checks == (("node/d", -1),)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"lag": None}, "not heard"),
        ({"alive": frozenset("abc")}, "not heard"),
        ({"lag": membership.CAUGHT_UP + 1}, "2001 commands behind"),
        ({"alive": frozenset("ad")}, "2 of the 4 members would be alive, 3 are needed"),
    ],
)
def test_who_would_make_the_others_wait_gets_none(over: dict[str, Any], said: str) -> None:
    with pytest.raises(Conflict, match=said):
        add(THREE, "d", **over)


def test_a_member_is_not_added_twice() -> None:
    with pytest.raises(Conflict, match="votes already"):
        add(THREE, "a")


def test_two_members_are_a_step_that_is_warned_of() -> None:
    one = Epoch(1, "a", (Member("a"),), 1)
    assert "none of them may fail" in add(one, "b").warning
    assert add(add(one, "b").epoch, "c").epoch.quorum_size == 2


def test_a_dead_member_can_be_removed_and_the_last_one_not() -> None:
    change = membership.remove(THREE, "b", alive=frozenset("ac"), now_ms=5)
    assert change.epoch.nodes == ("a", "c")
    with pytest.raises(NotFound):
        membership.remove(THREE, "z", alive=ALL, now_ms=5)
    with pytest.raises(Conflict, match="only member"):
        membership.remove(Epoch(1, "a", (Member("a"),), 1), "a", alive=ALL, now_ms=5)
    with pytest.raises(Conflict, match="1 of the 2 members would be alive"):
        membership.remove(THREE, "b", alive=frozenset("a"), now_ms=5)


def test_the_quorum_size_changes_alone_and_only_to_what_is_safe() -> None:
    five = Epoch(4, "c", tuple(map(Member, "abcde")), 3)
    assert membership.with_quorum(five, 2, alive=ALL, now_ms=5).epoch.quorum_size == 2
    with pytest.raises(ConfigError):
        membership.with_quorum(five, 4, alive=ALL, now_ms=5)
    with pytest.raises(Conflict):
        membership.with_quorum(five, 3, alive=ALL, now_ms=5)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=30))
def test_majorities_of_epochs_in_sequence_meet(steps: list[tuple[bool, str]]) -> None:
    """V1: any majority of an epoch meets any majority of the next one."""
    epochs = [Epoch(1, "c", (Member("a"),), 1)]
    for is_add, node in steps:
        try:
            change = (
                add(epochs[-1], node)
                if is_add
                else membership.remove(epochs[-1], node, alive=ALL, now_ms=5)
            )
        except JobdError:
            continue
        epochs.append(change.epoch)
    for old, new in pairwise(epochs):
        assert new.number == old.number + 1
        both = {*old.nodes, *new.nodes}
        sizes = [Quorums.of(len(each.members), each.quorum_size).stability for each in (old, new)]
        assert sum(sizes) > len(both)
