"""Clock, statements and stability: what is said, and what follows from it."""

from actors.core.consensus.executed_ids import ExecutedIds
from actors.core.consensus.messages import CommandId
from actors.core.consensus.promise_clock import PromiseClock
from actors.core.consensus.promises import Promises
from actors.core.consensus.statement import Statements

A: CommandId = (1, 1, 1)
B: CommandId = (2, 1, 1)


def never(_: CommandId) -> bool:
    return False


def test_nothing_is_stated_before_it_is_durable() -> None:
    clock = PromiseClock()
    assert clock.wants_reservation
    clock.reserve(100, record=1)
    ts = clock.issue(A, 0)
    clock.recorded(ts, record=2)
    assert (ts, clock.stated) == (1, 0)
    clock.synced(1)
    assert clock.stated == 0, "reserved, but the timestamp's own record is not durable"
    clock.synced(2)
    assert clock.stated == 1


def test_a_skip_is_stated_at_once_below_the_reservation_only() -> None:
    clock = PromiseClock(reserved=50)
    clock.clock = 10
    clock.bump(40)
    assert clock.stated == 40
    clock.bump(60)
    assert clock.stated == 50 and clock.is_beyond


def test_a_restart_begins_at_the_reservation() -> None:
    clock = PromiseClock(reserved=1_024, attached={7: A})
    assert clock.issue(B, 0) == 1_025
    assert clock.attached[7] == A


def test_a_proposal_is_at_least_the_coordinators() -> None:
    clock = PromiseClock(reserved=9)
    assert clock.issue(A, 30) == 30
    assert clock.issue(B, 12) == 31


def test_an_attached_timestamp_holds_the_frontier_until_it_is_committed_here() -> None:
    promises = Promises(3, 2)
    promises.learn(1, 9, ((4, A), (7, B)))
    assert promises.frontier(1, never) == 3
    assert promises.frontier(1, lambda id_: id_ == A) == 6
    assert promises.frontier(1, lambda _: True) == 9


def test_stable_is_what_a_majority_has_reached() -> None:
    promises = Promises(3, 2)
    for replica, clock in ((1, 9), (2, 5), (3, 7)):
        promises.learn(replica, clock, ())
    assert promises.stable(never) == 7
    even = Promises(4, 3)
    for replica, clock in ((1, 9), (2, 5), (3, 7), (4, 6)):
        even.learn(replica, clock, ())
    assert even.stable(never) == 6


def test_what_is_stable_moves_with_what_is_committed_here() -> None:
    promises, committed = Promises(3, 2), {B}
    for replica, attached in ((1, ((4, A), (7, B))), (2, ()), (3, ((4, A),))):
        promises.learn(replica, 9, attached)
    assert promises.stable(committed.__contains__) == 3
    assert promises.unknown({B}, ExecutedIds()) == {A}
    committed.add(A)
    promises.committed()
    assert promises.stable(committed.__contains__) == 9
    promises.learn(1, 9, ((4, A), (7, B)))  # once more, with what is committed by now
    assert promises.stable(committed.__contains__) == 9
    assert promises.unknown((), ExecutedIds()) == set()


def test_an_older_statement_changes_nothing() -> None:
    promises = Promises(3, 2)
    promises.learn(1, 9, ())
    promises.learn(1, 5, ((3, A),))
    assert promises.frontier(1, never) == 9


def test_a_peer_is_told_what_it_has_not_executed() -> None:
    clock = PromiseClock(reserved=100)
    clock.clock = 0
    statements = Statements(clock, index=0)
    first, second = clock.issue(A, 0), clock.issue(B, 0)
    statements.executed(1, first, A)
    assert statements.for_peer(0) == (2, ((first, A), (second, B)), 0)
    assert statements.for_peer(1) == (2, ((second, B),), 1), "it says that it leaves A out"


def test_a_statement_is_made_anew_when_something_changed() -> None:
    clock = PromiseClock(reserved=100)
    clock.clock = 0
    statements = Statements(clock, index=0)
    first = clock.issue(A, 0)
    assert statements.for_peer(0) is statements.for_peer(0)
    second = clock.issue(B, 0)
    assert statements.for_peer(0) == (2, ((first, A), (second, B)), 0)
    statements.executed(1, first, A)
    assert statements.for_peer(1) == (2, ((second, B),), 1)
    assert statements.for_peer(0) == (2, ((first, A), (second, B)), 0)
    statements.drop(1)
    assert statements.for_peer(0) == (2, ((second, B),), 1)


def test_what_is_forgotten_raises_the_floor_for_all() -> None:
    clock = PromiseClock(reserved=100)
    clock.clock = 0
    statements = Statements(clock, index=0)
    statements.executed(1, clock.issue(A, 0), A)
    statements.drop(1)
    assert statements.for_peer(0) == (1, (), 1)


def test_promises_from_before_a_restart_are_behind_the_floor() -> None:
    assert Statements(PromiseClock(reserved=9), index=42).for_peer(7).floor == 42
