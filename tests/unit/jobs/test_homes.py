"""Who decides first for a key."""

from __future__ import annotations

from collections import Counter

from actors.core import job, session
from actors.core.homes import RANK_MS, Homes, home_key, ranks
from actors.core.peers import Peers
from actors.core.store.state import State
from actors.model import keys
from actors.model.spec import Concurrency
from tests.unit.jobs.given import NOW, Given

VOTERS = ("a", "b", "c")
KEYS = [f"job/{i}" for i in range(300)]


def up(*nodes: str) -> State:
    state = State()
    for node in nodes:
        state.apply(session.open_session(state, node, 1, node, NOW))
    return state


def lose(state: State, node: str) -> None:
    txn = session.end_session(state, node, "lost", NOW)
    assert txn is not None
    state.apply(txn)


def peers(node: str, voters: tuple[str, ...] = VOTERS) -> Peers:
    told = Peers(node)
    told.update(
        voters=voters,
        alive=frozenset(voters),
        leader=voters[0],
        isolated_since_ms=None,
        conditions=(),
        keeps_time=True,
        in_contact=True,
    )
    return told


def test_all_rank_alike_and_keys_are_shared_out() -> None:
    state = up(*VOTERS)
    homes = {node: Homes(state, peers(node)) for node in VOTERS}
    for key in KEYS:
        assert sorted(str(homes[node].rank(key)) for node in VOTERS) == ["0", "1", "2"]
    shares = Counter(ranks(state, VOTERS, key)[0] for key in KEYS)
    assert all(shares[node] > 60 for node in VOTERS)


def test_a_loss_moves_only_the_homes_of_the_lost() -> None:
    state = up(*VOTERS)
    before = {key: ranks(state, VOTERS, key) for key in KEYS}
    lose(state, "b")
    for key in KEYS:
        assert ranks(state, VOTERS, key) == tuple(n for n in before[key] if n != "b")


def test_while_no_session_is_up_all_voters_are_ranked() -> None:
    state = up("a")
    lose(state, "a")
    assert sorted(ranks(state, VOTERS, "job/1")) == ["a", "b", "c"]


def test_who_has_no_session_is_last_and_who_does_not_vote_never_acts() -> None:
    state = up("a", "b")
    assert Homes(state, peers("c")).wait_ms("job/1") == 2 * RANK_MS
    assert Homes(state, peers("w")).wait_ms("job/1") is None


def test_a_node_alone_is_the_home_of_everything() -> None:
    homes = Homes(up("a"), Peers("a"))
    assert {homes.wait_ms(key) for key in KEYS} == {0}


def test_ranks_follow_the_view() -> None:
    state = up(*VOTERS)
    homes = Homes(state, peers("a"))
    key = next(key for key in KEYS if ranks(state, VOTERS, key)[:2] == ("b", "a"))
    assert homes.wait_ms(key) == RANK_MS
    lose(state, "b")
    assert homes.wait_ms(key) == 0


def test_what_belongs_together_has_one_home() -> None:
    given = Given()
    fan_out = given.accept(tasks=2)
    for key in (keys.task(fan_out, 1), keys.attempt(fan_out, 1, 3), keys.job(fan_out)):
        assert home_key(given.state, key) == keys.job(fan_out)
    first = given.accept(concurrency=(Concurrency("k", 1),))
    given.claim(first)
    lines = {
        home_key(given.state, keys.job(given.accept(concurrency=(Concurrency("k", 1),))))
        for _ in range(3)
    }
    assert len(lines) == 1
    assert lines.pop().startswith("permit/")
    assert job.due_at(given.state, keys.job(first)) is None
