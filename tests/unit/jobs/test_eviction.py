"""Whose turn it is to evict, and what a majority has in history."""

from __future__ import annotations

import pytest

from actors.core.buckets import FINE_MS
from actors.core.eviction import EvictionTurns
from actors.core.history import watermark
from actors.model.ids import make_id
from tests.unit.jobs.given import NOW

ONE = [make_id(NOW, n) for n in range(2)]
OTHER = [make_id(NOW + FINE_MS, n) for n in range(2)]


def test_the_home_evicts_at_once_the_others_when_nothing_goes() -> None:
    turns = EvictionTurns()

    def wait_ms(bucket: str) -> int:
        return 0 if bucket.endswith(str(NOW // FINE_MS)) else 500

    assert turns.mine([*ONE, *OTHER], 0, wait_ms) == ONE
    assert turns.mine([*ONE, *OTHER], 499, wait_ms) == ONE
    assert turns.mine([*ONE, *OTHER], 500, wait_ms) == [*ONE, *OTHER]


def test_who_does_not_vote_evicts_nothing() -> None:
    turns = EvictionTurns()
    assert turns.mine(ONE, 0, lambda _: None) == []
    assert turns.mine(ONE, 1 << 40, lambda _: None) == []


def test_progress_begins_the_wait_anew() -> None:
    turns = EvictionTurns()
    turns.mine(OTHER, 0, lambda _: 500)
    turns.progress(OTHER[0])
    assert turns.mine(OTHER[1:], 500, lambda _: 500) == []
    assert turns.mine(OTHER[1:], 1_000, lambda _: 500) == OTHER[1:]


@pytest.mark.parametrize(
    ("recorded", "revision"),
    [
        ({"a": 9}, 0),
        ({"a": 9, "b": 5}, 5),
        ({"a": 9, "b": 5, "c": 7}, 7),
        ({"a": 9, "b": 9, "w": 1}, 9),
        ({"a": 1, "w": 9}, 0),
    ],
)
def test_the_watermark_is_what_a_majority_of_voters_has(
    recorded: dict[str, int], revision: int
) -> None:
    assert watermark(recorded, ("a", "b", "c")) == revision
