"""Quorum sizes of an epoch, all derived from `quorum_size` = f + 1 (Tempo, EuroSys 2021, §3).

Invariants:
Q1  Every final timestamp is at least the proposals of a majority, and that majority meets every
    stability set: fast >= n/2 + f and fast + stability > n.
Q2  A recovery set of n - f meets every fast quorum in enough members to tell what it decided.
Q3  Odd n with f = 0 breaks Q1, so f >= 1 from three members on.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.errors import ConfigError

__all__ = ["Quorums", "default_quorum_size"]


class Quorums(NamedTuple):
    """How many replicas each step needs, of `n`; `f` may fail and all goes on."""

    n: int
    f: int
    fast: int
    slow: int
    recovery: int
    stability: int

    @classmethod
    def of(cls, n: int, quorum_size: int) -> Quorums:
        """Return the quorums of n members. Raises ConfigError for a size that isn't safe."""
        f = quorum_size - 1
        highest = (n - 1) // 2
        if n < 1 or not (f == 0 if n < 3 else 1 <= f <= highest):
            sizes = f"2 to {highest + 1}" if n > 4 else str(default_quorum_size(n))
            raise ConfigError(
                f"quorum_size {quorum_size} is not possible with {n} members",
                remedy=f"with {n} members give {sizes}",
            )
        majority = n // 2 + 1
        return cls(n, f, max(1, n // 2 + f), f + 1, n - f, majority)


def default_quorum_size(n: int) -> int:
    """Return the size that lets most members fail: 1, 1, 2, 2, 3 for one to five."""
    return 1 if n < 3 else (n - 1) // 2 + 1
