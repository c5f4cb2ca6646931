"""What other nodes have free, and whose turn it is to claim."""

from __future__ import annotations

from actors.core import node_state, session
from actors.core.heartbeat import Heartbeat
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity, Placed
from actors.core.room import CLAIM_RANK_MS, SILENT_MS, ClaimTurns, Room
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.model.job import Attempt
from actors.model.spec import Resources
from tests.unit.jobs.given import NOW

HALF = Resources(cpu_milli=500)


def capacity(node: str, **more: int) -> NodeCapacity:
    return NodeCapacity(node, 2, 2, 1000, 1000, 0, 0, frozenset({"command"}), **more)  # type: ignore[arg-type]


def two_nodes() -> tuple[State, Peers]:
    state, peers = State(), Peers("a")
    for node in ("a", "b"):
        state.apply(session.open_session(state, node, 1, node, NOW))
    beat = Heartbeat(
        node="b", incarnation=1, session=2, sent_ms=NOW, heard={}, capacity=capacity("b")
    )
    peers.hear(beat, 0)
    peers.update(
        voters=("a", "b"),
        alive=frozenset({"a", "b"}),
        leader="a",
        isolated_since_ms=None,
        conditions=(),
        keeps_time=True,
        in_contact=True,
    )
    return state, peers


def commit(state: State, txn: Txn | None) -> None:
    assert txn is not None
    state.apply(txn)


def test_what_is_taken_is_told_by_the_attempts_in_the_view() -> None:
    state, peers = two_nodes()
    room = Room(state, peers)
    room.take("attempt/1", Attempt("b", 0, "s", NOW), HALF)
    room.take("attempt/1", Attempt("b", 0, "s", NOW), HALF)
    (other,) = room.others()
    assert (other.slots_free, other.cpu_milli_free) == (1, 500)
    room.free("attempt/1")
    room.free("attempt/1")
    assert room.others() == [capacity("b")]


def test_a_node_without_a_session_or_cordoned_takes_nothing() -> None:
    state, peers = two_nodes()
    room = Room(state, peers)
    assert [each.node for each in room.takers()] == ["b"]
    commit(state, node_state.cordon(state, "b", now_ms=NOW))
    assert [each.cordoned for each in room.others()] == [True]
    assert room.takers() == []
    commit(state, node_state.uncordon(state, "b", now_ms=NOW))
    assert [each.node for each in room.takers()] == ["b"]
    commit(state, session.end_session(state, "b", "lost", NOW))
    assert room.others() == []


def test_what_ranks_another_first_is_this_nodes_after_its_turn() -> None:
    turns = ClaimTurns("c")
    placed = [
        Placed("j1", 0, ("c", "a")),
        Placed("j2", 0, ("a", "b", "c")),
        Placed("j3", 0, ("a",)),
    ]
    assert turns.of(placed, 0) == ([("j1", 0)], 2 * CLAIM_RANK_MS)
    again = placed[1:]
    assert turns.of(again, 2 * CLAIM_RANK_MS - 1) == ([], 2 * CLAIM_RANK_MS)
    assert turns.of(again, 2 * CLAIM_RANK_MS) == ([("j2", 0)], None)


def test_a_turn_is_counted_from_when_the_job_could_have_started_there() -> None:
    turns = ClaimTurns("c")
    placed = [Placed("j2", 0, ("a", "c"))]
    turns.of(placed, 0)
    turns.of([], 100)  # no room for it
    assert turns.of(placed, CLAIM_RANK_MS) == ([], 2 * CLAIM_RANK_MS)


def test_who_lets_a_turn_pass_is_left_out_until_it_claims() -> None:
    turns = ClaimTurns("c")
    nodes = [capacity("a"), capacity("b")]
    placed = [Placed("j", 0, ("a", "c"))]
    turns.of(placed, 0)
    turns.of(placed, CLAIM_RANK_MS)
    assert [each.node for each in turns.speaking(nodes, CLAIM_RANK_MS)] == ["b"]
    turns.heard("a")
    assert turns.speaking(nodes, CLAIM_RANK_MS) == nodes
    turns.of(placed, 1000)
    turns.of(placed, 1000 + CLAIM_RANK_MS)
    assert turns.speaking(nodes, 1000 + CLAIM_RANK_MS + SILENT_MS) == nodes
