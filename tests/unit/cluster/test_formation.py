"""The first formation: all begin the same cluster, whatever answers come when, or none does."""

from __future__ import annotations

import random

import pytest

from actors.core.formation import Form, Formation, Refuse, Says, Wait, cluster_of, first_epoch
from actors.model.epoch import Epoch, Member
from actors.model.ids import is_id, make_id

PEERS = ("node1:7800", "node2:7800", "node3:7800")
IDS = tuple(make_id(1_700_000_000_000 + n, 7 * n) for n in (3, 1, 2))


def formation(n: int, quorum_size: int = 2, peers: tuple[str, ...] = PEERS) -> Formation:
    return Formation(IDS[n], b"", own=peers[n], peers=peers, quorum_size=quorum_size)


def settled(nodes: list[Formation], rounds: int = 3) -> list[Form | Refuse | Wait]:
    """Have all hear all for some rounds; return what each came to."""
    for _ in range(rounds):
        for node in nodes:
            node.begin_round()
        for node in nodes:
            for other in nodes:
                if other is not node:
                    outcome = node.heard(other.says())
                    if isinstance(outcome, Refuse):
                        return [outcome]
    return [node.state() for node in nodes]


def test_all_begin_the_same_epoch() -> None:
    outcomes = settled([formation(n) for n in range(3)])
    (epoch,) = {outcome.epoch for outcome in outcomes if isinstance(outcome, Form)}
    assert len(outcomes) == 3
    assert epoch.nodes == tuple(sorted(IDS))
    assert (epoch.number, epoch.quorum_size, epoch.start) == (1, 2, 0)
    assert {member.address for member in epoch.members} == set(PEERS)
    assert is_id(epoch.cluster) and epoch.cluster == cluster_of(IDS[::-1])


def test_who_is_missing_is_named() -> None:
    (first, _) = settled([formation(0), formation(1)])
    assert first == Wait("2 of 3 peers answer, waits for node3:7800")


def test_an_answer_of_an_earlier_round_proves_nothing() -> None:
    nodes = [formation(n) for n in range(3)]
    settled(nodes)
    nodes[0].begin_round()
    nodes[0].heard(nodes[1].says())
    assert isinstance(nodes[0].state(), Wait)


@pytest.mark.parametrize("other", [{"quorum_size": 3}, {"peers": (*PEERS, "node4:7800")}])
def test_nodes_of_different_minds_begin_nothing(other: dict[str, int]) -> None:
    nodes = [formation(0), formation(1), formation(2, **other)]  # type: ignore[arg-type]
    assert all(isinstance(outcome, Wait) for outcome in settled(nodes))


def test_two_nodes_with_one_address_are_told() -> None:
    twin = Formation(IDS[1], b"", own=PEERS[2], peers=PEERS, quorum_size=2)
    (outcome,) = settled([formation(0), twin, formation(2)])
    assert isinstance(outcome, Refuse) and "node3:7800" in outcome.error.message
    assert "cluster.advertise" in outcome.error.remedy


def test_what_is_formed_with_this_node_is_believed() -> None:
    epoch = first_epoch([Member(id_) for id_ in IDS], 2)
    later = Epoch(7, epoch.cluster, epoch.members, 2, 90)
    node = formation(0)
    assert node.heard(Says(IDS[1], PEERS[1], formed=later)) == Form(later)


def test_an_empty_disk_is_not_who_it_replaces() -> None:
    epoch = first_epoch([Member(id_) for id_ in IDS], 2)
    wiped = Formation(make_id(9, 9), b"", own=PEERS[0], peers=PEERS, quorum_size=2)
    outcome = wiped.heard(Says(IDS[1], PEERS[1], formed=epoch))
    assert isinstance(outcome, Refuse)
    assert "--join" in outcome.error.remedy


@pytest.mark.parametrize("seed", range(200))
def test_lost_answers_and_restarts_never_make_two_clusters(seed: int) -> None:
    """Any order of rounds, lost answers, wiped disks: all that begin begin the same epoch."""
    rng = random.Random(seed)
    nodes = [formation(n) for n in range(3)]
    formed: dict[int, Epoch] = {}
    for _ in range(60):
        n = rng.randrange(3)
        if n in formed:
            continue
        if rng.random() < 0.05:
            id_ = make_id(1_700_000_001_000 + rng.randrange(999), rng.randrange(999))
            nodes[n] = Formation(id_, b"", own=PEERS[n], peers=PEERS, quorum_size=2)
        nodes[n].begin_round()
        outcome: Form | Refuse | Wait = nodes[n].state()
        for other in rng.sample(range(3), 3):
            if other == n or rng.random() < 0.2 or not isinstance(outcome, Wait):
                continue
            answer = nodes[other].says()
            if other in formed:
                answer = Says(answer.node, PEERS[other], formed=formed[other])
            outcome = nodes[n].heard(answer)
        if isinstance(outcome, Form):
            formed[n] = outcome.epoch
        elif isinstance(outcome, Refuse):
            break
    assert len(set(formed.values())) <= 1
