"""When a node decides what is due: at once as its home, later for another, never as a bystander."""

from __future__ import annotations

from actors.core.homes import RANK_MS
from actors.core.turns import Turns


class Ranks:
    """The ranks of this node, for the keys that it has one for."""

    def __init__(self, **by_key: int) -> None:
        self.up: tuple[str, ...] = ("a", "b")
        self.by_key = by_key

    def rank(self, key: str) -> int | None:
        return self.by_key.get(key)

    def wait_ms(self, key: str) -> int | None:
        rank = self.rank(key)
        return None if rank is None else rank * RANK_MS


class Clock:
    keeps_time = True


def turns(ranks: Ranks, clock: Clock) -> Turns:
    return Turns(ranks, clock)  # type: ignore[arg-type]


def test_the_home_decides_at_once_and_the_next_after_a_while() -> None:
    own = turns(Ranks(mine=0, other=1), Clock())
    own.changed("mine", 100)
    own.changed("other", 100)
    assert own.take(99, 10) == ([], False)
    assert own.take(100, 10) == (["mine"], False)
    assert "mine" not in own
    assert own.is_due("other", 100)
    assert own.next_ms == 100 + RANK_MS
    assert own.take(100 + RANK_MS, 10) == (["other"], False)


def test_a_decision_of_the_home_is_not_made_again() -> None:
    own = turns(Ranks(other=1), Clock())
    own.changed("other", 100)
    own.take(100, 10)
    own.changed("other", None)
    assert own.take(100 + RANK_MS, 10) == ([], False)
    assert own.next_ms is None


def test_looking_again_does_not_put_it_off() -> None:
    own = turns(Ranks(other=1), Clock())
    own.changed("other", 0)
    for now_ms in range(0, RANK_MS, 100):
        assert own.take(now_ms, 10) == ([], False)
        own.look("other", now_ms)
    assert own.take(RANK_MS, 10)[0] == ["other"]


def test_who_does_not_vote_or_keep_the_time_decides_nothing() -> None:
    ranks, clock = Ranks(none=0), Clock()
    own = turns(ranks, clock)
    own.changed("none", 0)
    clock.keeps_time = False
    assert own.take(0, 10) == ([], False)
    ranks.by_key.clear()
    clock.keeps_time = True
    assert own.take(30_000, 10) == ([], False)
    ranks.by_key["none"] = 0
    assert own.take(60_000, 10) == (["none"], False)


def test_a_home_that_moves_here_decides_at_once() -> None:
    ranks = Ranks(it=2)
    own = turns(ranks, Clock())
    own.changed("it", 0)
    own.take(0, 10)
    assert not own.have_moved(10)
    ranks.up, ranks.by_key["it"] = ("a",), 0
    assert own.have_moved(10)
    assert not own.have_moved(10)
    assert own.take(10, 10) == (["it"], False)


def test_more_than_a_turn_takes_is_said() -> None:
    own = turns(Ranks(a=0, b=0, c=0), Clock())
    for key in "abc":
        own.changed(key, 0)
    assert own.take(0, 2) == (["a", "b"], True)
    assert own.take(0, 2) == (["c"], False)
