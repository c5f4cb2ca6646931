"""What a seed is about: the members, the load, and which faults there are and how bad.

Swarm testing (Groce et al., ISSTA 2012): each seed turns kinds of faults off or on with odds of its
own, since a run with everything at once rarely gets far enough into any one thing.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

__all__ = ["Profile", "draw"]

_MEMBERS: Final = (  # (voters, quorum_size): weight
    ((3, 2), 62), ((5, 3), 10), ((5, 2), 5), ((4, 2), 5), ((1, 1), 9), ((2, 1), 7), ((7, 4), 2),
)  # fmt: skip


class Profile(NamedTuple):
    """Times in ms; shares are probabilities."""

    voters: int = 3
    quorum_size: int = 2
    learners: int = 0
    commands: int = 110
    faulty_ms: int = 1_200
    # the network
    delay_ms: int = 4
    slow_share: float = 0.0
    slow_ms: int = 120
    drop: float = 0.0
    duplicate: float = 0.0
    replay: float = 0.0  # of packets kept, to come again much later
    partitions: int = 0
    clogs: int = 0
    # the nodes
    crashes: int = 0
    pauses: int = 0
    jumps: int = 0
    # the disks
    sync_ms: int = 2
    full_disks: int = 0
    real_log: bool = False
    image_ms: int = 150
    lost_power: float = 0.5  # of crashes; else what was written survives
    # what it is told
    lies: float = 0.0  # of the failure detector's words
    changes: int = 0  # of the members
    reads: float = 0.25  # for each command
    losses: int = 0  # nodes that another one declares lost: their sessions end
    # the product's own choices
    amnesia: bool = False  # decisions are seen before they are durable
    forgetful: bool = False  # executed commands go soon, so that who lags needs a snapshot

    @property
    def faults(self) -> tuple[str, ...]:
        """The kinds of faults that are on."""
        on = {
            "drop": self.drop, "duplicate": self.duplicate, "replay": self.replay,
            "slow": self.slow_share, "partitions": self.partitions, "clogs": self.clogs,
            "crashes": self.crashes, "pauses": self.pauses, "jumps": self.jumps,
            "slow_sync": self.sync_ms > 5, "full_disks": self.full_disks,
            "real_log": self.real_log, "lies": self.lies, "changes": self.changes,
            "learners": self.learners, "amnesia": self.amnesia, "forgetful": self.forgetful,
            "losses": self.losses,
        }  # fmt: skip
        return tuple(name for name, value in on.items() if value)


def draw(rng: random.Random) -> Profile:
    """Draw the profile of a seed."""
    pairs, weights = zip(*_MEMBERS, strict=True)
    voters, quorum_size = rng.choices(pairs, weights)[0]

    def maybe(odds: float, *values: float) -> float:
        return rng.choice(values) if rng.random() < odds else 0

    return Profile(
        voters=voters,
        quorum_size=quorum_size,
        learners=int(maybe(0.25, 1, 2)),
        commands=rng.randint(100, 120),
        faulty_ms=rng.choice((400, 800, 1_200)),
        delay_ms=rng.choice((1, 4, 8)),
        slow_share=maybe(0.5, 0.02, 0.2),
        slow_ms=rng.choice((60, 120, 400)),
        drop=maybe(0.5, 0.02, 0.1, 0.3),
        duplicate=maybe(0.5, 0.05, 0.2),
        replay=maybe(0.4, 0.02, 0.1),
        partitions=int(maybe(0.5, 1, 2, 5)),
        clogs=int(maybe(0.3, 1, 3)),
        crashes=int(maybe(0.6, 1, 3, 6)),
        pauses=int(maybe(0.3, 1, 3)),
        jumps=int(maybe(0.3, 1, 4)),
        sync_ms=rng.choice((0, 2, 6, 25)),
        full_disks=int(maybe(0.15, 1, 3)),
        real_log=rng.random() < 0.12,
        image_ms=rng.choice((30, 120, 400)),
        lost_power=rng.choice((0.0, 0.5, 1.0)),
        lies=maybe(0.5, 0.1, 0.5),
        changes=int(maybe(0.35, 1, 2, 4)),
        reads=rng.choice((0.1, 0.25, 0.5)),
        amnesia=rng.random() < 0.15,
        forgetful=rng.random() < 0.25,
        losses=int(maybe(0.25, 1, 3)),
    )
