"""Machines whose clocks are wrong: a healthy cluster takes no harm, and says which it is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from actors.core.heartbeat import CLOCK_SKEW
from actors.model import keys
from tests.sim.cluster.nodes import Cluster

_HOUR_MS = 3_600_000
IN_2099 = 4_070_908_800_000
IN_1970 = 12_345
NAMES = ("a", "b", "c")


def with_clock(seed: int, name: str, time_ms: int, **more: Any) -> Cluster:
    cluster = Cluster(seed, **more)
    cluster.machines[name].off_ms = time_ms - cluster.host.true_ms
    return cluster


def check(cluster: Cluster, wrong: str) -> None:
    """All see the true time and have stamped it; one node has the condition, and says so to all."""
    true_ms = cluster.host.true_ms
    for name, node in cluster.nodes.items():
        assert abs(node.clock.now_ms() - true_ms) < 100
        assert node.peers.keeps_time == (name != wrong)
        for other in cluster.nodes:
            assert node.peers.conditions(other) == ((CLOCK_SKEW,) if other == wrong else ())
        session = node.state.get(keys.session(name))
        assert session is not None
        assert session.noun.since_ms == pytest.approx(true_ms, abs=120_000)
    assert all(abs(event.time_ms - true_ms) < 120_000 for event in cluster.events)


@pytest.mark.parametrize("time_ms", [IN_2099, IN_1970])
@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_a_cluster_that_boots_with_one_wrong_clock(time_ms: int, order: tuple[str, ...]) -> None:
    """Whichever boots first; b is the one that is wrong."""
    cluster = with_clock(1, "b", time_ms)
    for name in order:
        cluster.boot(name)
        cluster.run(0.4)
    assert cluster.settle()
    cluster.run(3)
    check(cluster, "b")


@pytest.mark.parametrize("time_ms", [IN_2099, IN_1970])
@pytest.mark.parametrize("name", ["c", "w"])
def test_a_node_that_joins_a_healthy_cluster_with_a_wrong_clock(name: str, time_ms: int) -> None:
    cluster = with_clock(2, name, time_ms, workers=("w",))
    cluster.boot(*({*NAMES, "w"} - {name}))
    assert cluster.settle()
    cluster.run(10)
    cluster.boot(name)
    assert cluster.settle()
    cluster.run(3)
    check(cluster, name)
    assert cluster.told("jobd:node:lost") == []


@pytest.mark.parametrize("time_ms", [IN_2099, IN_1970])
@pytest.mark.parametrize("name", NAMES)
def test_with_another_node_down_what_was_stamped_tells_which_is_wrong(
    name: str, time_ms: int
) -> None:
    """Two clocks disagree and no third says which: only one of them follows what went before."""
    cluster = Cluster(3)
    cluster.boot()
    assert cluster.settle()
    cluster.crash(*NAMES)
    cluster.machines[name].off_ms = time_ms - cluster.host.true_ms
    other = next(each for each in NAMES if each != name)
    cluster.boot(name, other)
    cluster.run(5)
    assert all(node.agent.waits_for for node in cluster.nodes.values())
    assert cluster.settle()
    cluster.run(2)
    check(cluster, name)


@pytest.mark.parametrize("step_ms", [700, -700, _HOUR_MS, -_HOUR_MS, IN_2099 - 1_700_000_000_000])
def test_a_clock_that_is_set_while_the_node_runs(step_ms: int) -> None:
    cluster = Cluster(4)
    cluster.boot()
    assert cluster.settle()
    cluster.run(5)
    cluster.machines["a"].off_ms += step_ms
    for _ in range(20):
        cluster.run(0.5)
        for node in cluster.nodes.values():
            assert abs(node.clock.now_ms() - cluster.host.true_ms) < 100
    check(cluster, "a")
    cluster.machines["a"].off_ms = 0
    cluster.run(8)
    check(cluster, "")
    assert cluster.told("jobd:node:lost") == []


def test_clocks_that_drift_apart_are_told_when_they_are_off() -> None:
    cluster = Cluster(5)
    cluster.machines["c"].drift = 0.01
    cluster.boot()
    assert cluster.settle()
    cluster.run(40)
    assert all(node.peers.keeps_time for node in cluster.nodes.values())
    cluster.run(20)
    assert [n for n, node in cluster.nodes.items() if not node.peers.keeps_time] == ["c"]
    assert abs(cluster.nodes["c"].clock.now_ms() - cluster.host.true_ms) < 100


def test_two_nodes_of_which_one_is_wrong_keep_one_time() -> None:
    """Nobody can say which of two is right; but they agree, and one of them keeps time."""
    cluster = with_clock(6, "b", IN_2099, voters=("a", "b"))
    cluster.boot()
    assert cluster.settle()
    cluster.run(3)
    check(cluster, "b")
