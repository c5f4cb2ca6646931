"""Nodes that fail, and nodes that only seem to: what the others make of it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core.heartbeat import ISOLATED
from actors.core.store.txn import Txn
from actors.executor_slot import CutOff
from actors.model import keys
from actors.model.codec import encode
from actors.model.job import Attempt
from actors.node_agent import Leave
from tests.sim.cluster.contact import FIVE, LOSSY, run_seed
from tests.sim.cluster.host import at
from tests.sim.cluster.nodes import TIMEOUT_MS, Cluster

TIMEOUT_S = TIMEOUT_MS / 1000


def booted(seed: int, **more: Any) -> Cluster:
    cluster = Cluster(seed, **more)
    cluster.boot()
    assert cluster.settle(), {n: node.agent.waits_for for n, node in cluster.nodes.items()}
    return cluster


def test_a_cluster_forms_at_once_and_says_once_who_leads() -> None:
    cluster = booted(1, workers=("w",))
    assert cluster.host.clock.elapsed_s < 1.0
    cluster.run(30)
    assert sorted(cluster.told("jobd:node:joined")) == ["a", "b", "c", "w"]
    assert cluster.told("jobd:node:lost") == []
    assert cluster.told("jobd:leader:changed") == ["a"]
    for name, node in cluster.nodes.items():
        assert node.peers.alive() == {"a", "b", "c", "w"}
        assert node.peers.leader() == "a"
        assert node.replica.alive[-1].leader == "a"
        assert set(node.peers.capacities()) == {"a", "b", "c", "w"} - {name}
        record = cluster.nodes["b"].state.get(keys.node(name))
        assert record is not None
        assert record.noun.address == f"{name}:7800"


def test_the_same_seed_gives_the_same_run() -> None:
    def trace(seed: int) -> str:
        cluster = booted(seed, faults=LOSSY)
        cluster.host.pause("b", 7)
        cluster.run(20)
        return cluster.host.trace_hash

    assert trace(5) == trace(5)
    assert trace(5) != trace(6)


@pytest.mark.parametrize("seed", range(6))
def test_a_dead_node_is_lost_within_the_timeout_and_a_second(seed: int) -> None:
    rng = random.Random(seed)
    voters = rng.choice((("a", "b", "c"), FIVE))
    cluster = booted(seed, voters=voters, workers=("w",))
    cluster.run(rng.uniform(3, 9))
    victims = rng.sample((*voters, "w"), (len(voters) - 1) // 2)
    died_s = cluster.host.clock.elapsed_s
    cluster.crash(*victims)
    assert cluster.host.run_until(
        lambda: set(cluster.told("jobd:node:lost")) == set(victims), limit_s=TIMEOUT_S + 0.5
    ), "that leaves half a second for what follows"
    assert cluster.host.clock.elapsed_s - died_s > TIMEOUT_S - 2
    cluster.run(20)
    assert sorted(cluster.told("jobd:node:lost")) == sorted(victims)
    leader = next(v for v in voters if v not in victims)
    assert cluster.told("jobd:leader:changed") == ["a", leader][: 1 + (leader != "a")]
    cluster.boot(*victims)
    assert cluster.settle()
    cluster.run(3)
    assert len(cluster.told("jobd:node:lost")) == len(victims)
    assert cluster.told("jobd:leader:changed") == ["a", leader, "a"][: 1 + 2 * (leader != "a")]


@pytest.mark.parametrize("seed", range(6))
def test_who_is_in_contact_with_a_majority_is_never_lost(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_stood_still_accuses_nobody_and_takes_a_new_session(seed: int) -> None:
    rng = random.Random(seed)
    cluster = booted(seed)
    victim = rng.choice("abc")
    before = cluster.nodes[victim].incarnation
    cluster.host.pause(victim, rng.uniform(8, 60))
    cluster.run(70)
    assert cluster.told("jobd:node:lost") == [victim]
    node = cluster.nodes[victim]
    assert node.session == "up"
    assert node.incarnation == before + 1  # without a reboot
    assert cluster.told("jobd:leader:changed") == (["a", "b", "a"] if victim == "a" else ["a"])


@pytest.mark.parametrize("still_s", [0.9, 4.0, 20.0])
def test_when_all_stand_still_nobody_is_lost(still_s: float) -> None:
    """As the machines of a laptop do that sleeps."""
    cluster = booted(3)
    cluster.run(5)
    for name in cluster.nodes:
        cluster.host.pause(name, still_s)
    cluster.run(still_s + 30)
    assert cluster.told("jobd:node:lost") == []
    for node in cluster.nodes.values():
        assert CutOff(True) not in node.scheduler.told, "it was not there to hear anybody"
    assert cluster.told("jobd:leader:changed") == ["a"]


@pytest.mark.parametrize("seed", range(6))
def test_when_all_were_cut_off_from_all_nobody_is_lost(seed: int) -> None:
    """A switch that was started anew: the first heartbeat behind it accuses nobody."""
    rng = random.Random(seed)
    cluster = booted(seed, voters=rng.choice((("a", "b", "c"), FIVE)), workers=("w",))
    for _ in range(4):
        cluster.run(rng.uniform(6, 9))
        cluster.host.partition(*({name} for name in cluster.nodes))
        cluster.run(rng.uniform(2.5, 8))
        cluster.host.heal()
    cluster.run(10)
    assert cluster.told("jobd:node:lost") == []


@pytest.mark.parametrize("seed", range(2))
def test_a_link_that_flaps_is_no_loss(seed: int) -> None:
    cluster = booted(seed)
    for _ in range(10):
        cluster.host.partition({"c"}, {"a", "b"})
        cluster.run(3)
        cluster.host.heal()
        cluster.run(1.5)
    assert cluster.told("jobd:node:lost") == []


@pytest.mark.parametrize("way", ["both", "unheard", "deaf"])
def test_a_node_that_is_cut_off_knows_it_and_starts_nothing(way: str) -> None:
    cluster = booted(9)
    cluster.run(5)
    node = cluster.nodes["c"]
    for other in ("a", "b"):
        if way != "deaf":
            cluster.host.cut("c", other)
        if way != "unheard":
            cluster.host.cut(other, "c")
    cluster.run(TIMEOUT_S - 2.1)
    assert CutOff(True) not in node.scheduler.told
    cluster.run(3.2)
    assert node.scheduler.told[-1] == CutOff(True)
    assert node.peers.conditions("c") == (ISOLATED,)
    assert node.agent.waits_for == "a majority"
    now_ms = int(cluster.host.clock.monotonic_s() * 1000)
    assert TIMEOUT_MS <= node.peers.isolated_ms(now_ms) < TIMEOUT_MS + 3_000
    cluster.run(5)
    assert cluster.told("jobd:node:lost") == ([] if way == "deaf" else ["c"])
    cluster.host.heal()
    cluster.run(3)
    assert CutOff(False) in node.scheduler.told
    assert node.peers.isolated_ms(now_ms) == 0
    assert cluster.is_ready


def test_two_that_do_not_hear_each_other_are_not_lost_and_the_first_leads_on() -> None:
    """c hears both, so no majority says of a or b what the other does."""
    cluster = booted(8)
    cluster.run(2)
    cluster.host.partition({"a"}, {"b"})
    cluster.run(20)
    assert cluster.nodes["b"].peers.leader() == "b"
    assert cluster.told("jobd:leader:changed") == ["a"]
    assert cluster.told("jobd:node:lost") == []


def test_without_a_majority_nothing_is_proposed() -> None:
    cluster = booted(2)
    cluster.run(5)
    count = len(cluster.order.entries)
    cluster.crash("a", "b")
    cluster.run(60)
    assert len(cluster.order.entries) == count
    assert cluster.nodes["c"].peers.leader() == "c"
    cluster.boot("b")
    cluster.run(20)
    assert cluster.told("jobd:node:lost") == ["a"]
    assert cluster.told("jobd:leader:changed") == ["a", "b"]


def test_a_node_that_stops_leaves_and_is_not_lost() -> None:
    cluster = booted(4)
    assert cluster.stop("b")
    cluster.run(10)
    assert cluster.told("jobd:node:left") == ["b"]
    assert cluster.told("jobd:node:lost") == []
    cluster.boot("b")
    assert cluster.settle()
    assert cluster.told("jobd:node:joined").count("b") == 2


def test_when_who_leads_leaves_the_next_leads_at_once() -> None:
    cluster = booted(4)
    cluster.run(5)
    assert cluster.host.call(at("a", addresses.AGENT), Leave())
    cluster.run(0.5)  # its process goes on for a moment, and so do its heartbeats
    for name in ("b", "c"):
        assert cluster.nodes[name].peers.alive() == {"b", "c"}
        assert cluster.nodes[name].peers.leader() == "b"
    assert cluster.told("jobd:leader:changed") == ["a", "b"]
    cluster.run(3)
    cluster.crash("a")
    cluster.boot("a")
    assert cluster.settle(2)
    cluster.run(0.5)
    assert cluster.told("jobd:leader:changed") == ["a", "b", "a"]
    assert cluster.told("jobd:node:lost") == []


def test_a_node_whose_attempts_go_on_does_not_leave() -> None:
    """It is back before it is lost, or its loss is handled as any."""
    cluster = booted(4)
    attempt = Attempt("b", 0, "s1", cluster.host.true_ms)
    put = Txn((), ((keys.attempt("j", 0, 1), encode(attempt)),), now_ms=0)
    cluster.host.call(at("b", addresses.REPLICA), SubmitTxn(put))
    assert not cluster.stop("b")
    cluster.run(3)
    cluster.boot("b")
    assert cluster.settle()
    cluster.run(10)
    assert cluster.told("jobd:node:left") == []
    assert cluster.told("jobd:node:lost") == []
    assert not cluster.stop("b")
    cluster.run(10)
    assert cluster.told("jobd:node:lost") == ["b"]


def test_a_node_that_is_removed_is_forgotten() -> None:
    cluster = booted(6, workers=("w",))
    cluster.crash("w")
    assert cluster.host.run_until(lambda: cluster.told("jobd:node:lost") == ["w"], limit_s=10)
    node = cluster.nodes["b"]
    assert node.peers.heartbeat("w") is not None  # what it had is still shown
    removed = Txn((), ((keys.session("w"), None), (keys.node("w"), None)), now_ms=0)
    cluster.host.call(at("b", addresses.REPLICA), SubmitTxn(removed))
    cluster.run(1)
    assert node.peers.heartbeat("w") is None
    assert node.peers.heartbeat("c") is not None
