"""Placement: what fits where, in which order, and never too much."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.placement import (
    Candidate,
    NodeCapacity,
    Reservation,
    feasible,
    place,
    rank,
)
from actors.model.spec import JobSpec, Placement, Resources

GIB = 2**30


def _node(name: str = "a", **changes: Any) -> NodeCapacity:
    whole = NodeCapacity(
        node=name,
        slots_total=4,
        slots_free=4,
        cpu_milli_total=4000,
        cpu_milli_free=4000,
        memory_total=8 * GIB,
        memory_free=8 * GIB,
        executors=frozenset(("command",)),
        labels={"zone": "west"},
        name=f"node-{name}",
    )
    return whole._replace(**changes)


def _spec(**changes: Any) -> JobSpec:
    return JobSpec(**({"name": "x", "type": "command"} | changes))


@pytest.mark.parametrize(
    ("spec", "node", "codes"),
    [
        (_spec(), _node(), []),
        (_spec(type="js"), _node(), [("executor", True)]),
        (_spec(), _node(cordoned=True), [("cordoned", True)]),
        (_spec(), _node(slots_free=0), [("slots", False)]),
        (_spec(placement=Placement(node="node-a")), _node(), []),
        (_spec(placement=Placement(node="b")), _node(), [("node", True)]),
        (_spec(placement=Placement(labels={"zone": "west"})), _node(), []),
        (_spec(placement=Placement(labels={"zone": "east"})), _node(), [("label", True)]),
        (_spec(resources=Resources(4000)), _node(), []),
        (_spec(resources=Resources(3001)), _node(cpu_milli_free=3000), [("cpu", False)]),
        (_spec(resources=Resources(4001)), _node(), [("cpu", True)]),
        (_spec(resources=Resources(0, 9 * GIB)), _node(), [("memory", True)]),
    ],
)
def test_feasible(spec: JobSpec, node: NodeCapacity, codes: list[tuple[str, bool]]) -> None:
    assert [(reason.code, reason.permanent) for reason in feasible(spec, node)] == codes


def test_what_reserves_fills_up_and_what_does_not_spreads() -> None:
    half, idle = _node("a", cpu_milli_free=2000, slots_free=2), _node("b")
    asks = _spec(resources=Resources(1000))
    assert [n.node for n in rank(asks, [idle, half], "j")] == ["a", "b"]
    assert [n.node for n in rank(_spec(), [half, idle], "j")] == ["b", "a"]
    spread = _spec(resources=Resources(1000), placement=Placement(spread=True))
    assert [n.node for n in rank(spread, [half, idle], "j")] == ["b", "a"]


def test_equals_are_shared_by_hash_alike_everywhere() -> None:
    nodes = [_node(name) for name in "abc"]
    firsts = [rank(_spec(), nodes, f"j{i}")[0].node for i in range(300)]
    assert firsts == [rank(_spec(), nodes[::-1], f"j{i}")[0].node for i in range(300)]
    assert all(60 < firsts.count(name) < 140 for name in "abc")


def test_placing_takes_the_room_and_passes_over_what_does_not_fit() -> None:
    candidates = [
        Candidate("j1", 0, _spec(resources=Resources(3000))),
        Candidate("j2", 0, _spec(resources=Resources(3000))),
        Candidate("j3", 0, _spec(resources=Resources(1000))),
        Candidate("j4", 0, _spec()),
    ]
    placed = place(candidates, [_node()], [], 10)
    assert [item.job_id for item in placed] == ["j1", "j3", "j4"]
    assert [item.job_id for item in place(candidates, [_node()], [], 1)] == ["j1"]


def test_reservations_hold_their_room() -> None:
    held = [Reservation("a", Resources(3500)), Reservation("gone", Resources(1))]
    candidates = [Candidate("j1", 0, _spec(resources=Resources(1000)))]
    assert place(candidates, [_node()], held, 10) == []


def test_a_full_cluster_looks_at_one_candidate_only() -> None:
    looked = 0

    def candidates() -> Any:
        nonlocal looked
        for i in range(100_000):
            looked += 1
            yield Candidate(f"j{i}", 0, _spec())

    assert place(candidates(), [_node(slots_free=0)], [], 10) == []
    assert looked == 1
