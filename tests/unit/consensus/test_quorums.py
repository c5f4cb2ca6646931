"""Quorum sizes: the table of the reference, and what is refused."""

import pytest

from actors.core.consensus.quorums import Quorums, default_quorum_size
from actors.errors import ConfigError


@pytest.mark.parametrize(
    ("n", "size", "fast", "slow", "recovery", "stability"),
    [
        (1, 1, 1, 1, 1, 1),
        (2, 1, 1, 1, 2, 2),
        (3, 2, 2, 2, 2, 2),
        (4, 2, 3, 2, 3, 3),
        (5, 2, 3, 2, 4, 3),
        (5, 3, 4, 3, 3, 3),
        (7, 3, 5, 3, 5, 4),
        (7, 4, 6, 4, 4, 4),
    ],
)
def test_sizes(n: int, size: int, fast: int, slow: int, recovery: int, stability: int) -> None:
    assert Quorums.of(n, size) == (n, size - 1, fast, slow, recovery, stability)


@pytest.mark.parametrize(
    ("n", "size"), [(0, 1), (1, 2), (2, 2), (3, 1), (3, 3), (4, 3), (5, 1), (5, 4)]
)
def test_what_is_not_safe_is_refused(n: int, size: int) -> None:
    with pytest.raises(ConfigError, match=f"quorum_size {size} is not possible with {n} members"):
        Quorums.of(n, size)


def test_every_final_timestamp_meets_every_stability_set() -> None:
    for n in range(1, 12):
        for size in range(1, n + 1):
            try:
                q = Quorums.of(n, size)
            except ConfigError:
                continue
            proposers = min(q.fast, q.recovery)  # whose proposals a timestamp is at least
            assert proposers + q.stability > n or q.fast + q.stability > n
            assert q.fast + q.recovery > n or n == 2
            assert q.slow + q.recovery > n


def test_the_default_lets_most_members_fail() -> None:
    assert [default_quorum_size(n) for n in range(1, 8)] == [1, 1, 2, 2, 3, 3, 4]
