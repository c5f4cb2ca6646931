"""Who is in contact with a majority is never lost, whatever befalls the others.

A majority of the voters and a worker stay well, on a network that loses, doubles and delays. All
others are cut off one way or both, stopped, killed and started, and their clocks are set. Then that
ends, and everybody has to come back.

    python -m tests.sim.cluster.contact --seeds 500 --seed 1000
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys

from actors.runtime import Faults
from tests.sim.cluster.nodes import Cluster

__all__ = ["FIVE", "LOSSY", "run_seed"]

FIVE = ("a", "b", "c", "d", "e")
LOSSY = Faults(drop=0.05, duplicate=0.05, reorder=0.2, min_delay_s=0.001, max_delay_s=0.3)
_FAULTS_S = 60


def run_seed(seed: int) -> str:
    """Run one seed and return the digest of all that happened. Raises AssertionError."""
    rng = random.Random(seed)
    voters = rng.choice((("a", "b", "c"), FIVE))
    cluster = Cluster(seed, voters=voters, workers=("w",), faults=LOSSY)
    cluster.boot()
    assert cluster.settle()
    well = [*rng.sample(voters, len(voters) // 2 + 1), "w"]
    ill = [voter for voter in voters if voter not in well]
    end_s = cluster.host.clock.elapsed_s + _FAULTS_S
    while cluster.host.clock.elapsed_s < end_s:
        cluster.run(rng.uniform(0.1, 4))
        _harm(cluster, rng.choice(ill), rng)
        _check(cluster, well)
    cluster.host.heal()
    cluster.boot()
    cluster.run(20)
    assert cluster.settle(), "all come back"
    assert not set(well) & set(cluster.told("jobd:node:lost"))
    leaders = cluster.told("jobd:leader:changed")
    assert leaders[-1] == "a", "the first voter leads again"
    assert all(before != after for before, after in itertools.pairwise(leaders))
    return cluster.host.trace_hash


def _check(cluster: Cluster, well: list[str]) -> None:
    true_ms = cluster.host.true_ms
    for name in well:
        node = cluster.nodes[name]
        assert node.session == "up", f"{name} is lost"
        assert node.agent.waits_for == "", f"{name} is cut off"
        assert abs(node.clock.now_ms() - true_ms) < 500, f"{name} has the wrong time"
        assert node.peers.keeps_time, name
    assert all(event.time_ms - true_ms < 500 for event in cluster.events), "a stamp of 2099"


def _harm(cluster: Cluster, name: str, rng: random.Random) -> None:
    others = [other for other in cluster.machines if other != name]
    match rng.randrange(7):
        case 0:
            cluster.host.pause(name, rng.uniform(0.5, 15))
        case 1 if name in cluster.nodes:
            cluster.crash(name)
        case 2 if name not in cluster.nodes:
            cluster.boot(name)
        case 3:
            cluster.host.heal()
        case 4:
            for other in rng.sample(others, rng.randint(1, len(others))):
                cluster.host.cut(name, other)
        case 5:
            for other in rng.sample(others, rng.randint(1, len(others))):
                cluster.host.cut(other, name)
        case _:
            steps_ms = (600, -600, 3_600_000, -3_600_000, 10**12, -(10**12))
            cluster.machines[name].off_ms += rng.choice(steps_ms)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for number in range(asked.seed, asked.seed + asked.seeds):
        try:
            run_seed(number)
        except AssertionError as violation:
            raise SystemExit(f"seed {number}: {violation}") from violation
    sys.stdout.write(f"{asked.seeds} seeds, no violation\n")
