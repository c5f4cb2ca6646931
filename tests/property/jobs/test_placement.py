"""Whatever is asked and free: what is placed never takes more than there is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.core.placement import Candidate, NodeCapacity, Reservation, feasible, place
from actors.model.spec import JobSpec, Resources

_RESOURCES = st.builds(Resources, st.sampled_from([0, 500, 1000, 3000]), st.integers(0, 8))
_NODES = st.lists(
    st.builds(
        NodeCapacity,
        node=st.sampled_from("abc"),
        slots_total=st.just(4),
        slots_free=st.integers(0, 4),
        cpu_milli_total=st.just(4000),
        cpu_milli_free=st.integers(0, 4000),
        memory_total=st.just(16),
        memory_free=st.integers(0, 16),
        executors=st.sampled_from([frozenset(("command",)), frozenset[str]()]),
        cordoned=st.booleans(),
    ),
    unique_by=lambda node: node.node,
    max_size=3,
)


@given(_NODES, st.lists(_RESOURCES, max_size=12), st.lists(_RESOURCES, max_size=3))
def test_nothing_is_over_committed(
    nodes: list[NodeCapacity], asked: list[Resources], held: list[Resources]
) -> None:
    reservations = [Reservation("a", resources) for resources in held]
    candidates = [
        Candidate(f"j{i}", 0, JobSpec(name="x", type="command", resources=resources))
        for i, resources in enumerate(asked)
    ]
    placed = place(candidates, nodes, reservations, 100)
    slots: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    took = [(item.nodes[0], asked[int(item.job_id[1:])]) for item in placed]
    for name, resources in [*took, *(("a", resources) for resources in held)]:
        slots[name] += 1
        cpu[name] += resources.cpu_milli
        memory[name] += resources.memory_bytes
    by_name = {node.node: node for node in nodes}
    for name in {node for node, _ in took}:
        node = by_name[name]
        assert not node.cordoned and "command" in node.executors
        assert slots[name] <= node.slots_free
        assert cpu[name] <= node.cpu_milli_free
        assert memory[name] <= node.memory_free


@given(_NODES, st.lists(_RESOURCES, max_size=12))
def test_the_first_that_fits_anywhere_is_placed(
    nodes: list[NodeCapacity], asked: list[Resources]
) -> None:
    candidates = [
        Candidate(f"j{i}", 0, JobSpec(name="x", type="command", resources=resources))
        for i, resources in enumerate(asked)
    ]
    fits = [c for c in candidates if any(not feasible(c.spec, node) for node in nodes)]
    placed = place(candidates, nodes, [], 1)
    assert [item.job_id for item in placed] == [c.job_id for c in fits[:1]]
