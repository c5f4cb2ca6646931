"""Chains of three: order, restart, members that change, learners, laggards."""

from actors.core.consensus.group import Read, Submit
from actors.errors import Conflict
from tests.unit.consensus.group import Cluster, epoch_of, put

THREE = epoch_of("a", "b", "c", quorum_size=2)


def test_any_node_orders_and_all_apply_the_same() -> None:
    cluster = Cluster(THREE)
    tickets = {name: [cluster.submit(name, put(f"{name}{k}")) for k in range(5)] for name in "abc"}
    cluster.settle(200)
    for name, own in tickets.items():
        assert all(cluster.committed(name, ticket) for ticket in own)
    assert len(cluster.digests()) == 1
    assert cluster["a"].state.revision == 15
    status = cluster["a"].chain.status(cluster.now_ms)
    assert (status.role, status.slow, status.lag) == ("voter", 0, 0)
    assert status.fast >= 1, "three with f = 1 always decide on the fast path"


def test_two_of_three_go_on_and_the_third_catches_up() -> None:
    cluster = Cluster(THREE)
    cluster.cut = {("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")}
    cluster.believe("a", "b")
    tickets = [cluster.submit("a", put(str(k))) for k in range(20)]
    lonely = cluster.submit("c", put("lonely"))
    cluster.settle(2_000)
    assert all(cluster.committed("a", ticket) for ticket in tickets)
    assert lonely not in cluster["c"].answers, "one of three decides nothing"
    cluster.cut = set()
    cluster.believe("a", "b", "c")
    cluster.settle(5_000)
    assert cluster.committed("c", lonely)
    assert len(cluster.digests()) == 1


def test_a_coordinator_that_died_is_recovered() -> None:
    cluster = Cluster(THREE)
    cluster.submit("a", put("first"))
    cluster.settle(200)
    cluster.cut = {("a", "c")}  # b alone hears of it; a dies before it decides
    cluster.submit("a", put("orphan"))
    cluster.step(*cluster._queue.pop(0))
    packets = [event for event in cluster._queue if event[0] == "b"]
    cluster._queue = []
    cluster.cut = {("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")}
    for to, event in packets:
        cluster.step(to, event)
    cluster.believe("b", "c")
    later = cluster.submit("c", put("later"))
    cluster.settle(3_000)
    assert cluster.committed("c", later), "an undecided command holds up what is above it"
    assert cluster["b"].state.get("kv/t/orphan") is not None
    assert cluster["b"].chain.status(0).recovered + cluster["c"].chain.status(0).recovered == 1


def test_all_restart_and_nothing_is_lost() -> None:
    cluster = Cluster(THREE)
    tickets = [cluster.submit(name, put(f"{name}{k}")) for k in range(7) for name in "abc"]
    cluster.settle(200)
    assert len(tickets) == cluster["a"].state.revision
    for name in "abc":
        cluster.restart(name)
    cluster.settle(3_000)
    after = cluster.submit("b", put("after"))
    cluster.settle(1_000)
    assert cluster.committed("b", after)
    assert cluster.digests() == {(cluster["a"].chain.index, len(tickets) + 1)}


def test_a_read_shows_what_ended_before_it() -> None:
    cluster = Cluster(THREE)
    cluster.submit("a", put("x"))
    cluster.settle(100)
    ticket = cluster.read("c")
    cluster.settle()
    assert ticket in cluster["c"].answers, "two clocks agree: one round, no log"
    assert cluster["c"].state.get("kv/t/x") is not None
    cluster.cut = {(x, "c") for x in "ab"}
    lonely = cluster.read("c")
    cluster.settle(1_000)
    assert lonely not in cluster["c"].answers


def test_one_grows_to_three_and_what_was_under_way_is_ordered_once() -> None:
    cluster = Cluster(epoch_of("a", quorum_size=1))
    for k in range(4):
        cluster.submit("a", put(str(k)))
    cluster.settle()
    change = cluster.change("a", epoch_of("a", "b", "c", quorum_size=2, number=2))
    waits = cluster.submit("a", put("meanwhile"))
    late = cluster.change("a", epoch_of("a", "b", quorum_size=1, number=2))
    cluster.settle()
    assert cluster.committed("a", change)
    assert isinstance(cluster["a"].answers[late], Conflict)
    epoch = cluster["a"].chain.epoch
    assert (epoch.number, epoch.start) == (2, 3), "two batches and the change"
    assert waits not in cluster["a"].answers, "the others are not there yet"


def test_a_learner_follows_forwards_and_becomes_a_voter() -> None:
    cluster = Cluster(THREE, "d")
    cluster.submit("a", put("before"))
    cluster.settle(2_000)
    assert cluster["d"].chain.status(0).role == "learner"
    assert len(cluster.digests()) == 1
    cluster.submit("d", put("from the learner"))
    cluster.read("d")
    assert [type(event) for event in cluster["d"].forwarded] == [Submit, Read]
    change = cluster.change("b", epoch_of("a", "b", "c", "d", quorum_size=2, number=2))
    cluster.settle(2_000)
    assert cluster.committed("b", change)
    assert cluster["d"].chain.status(0).role == "voter"
    ticket = cluster.submit("d", put("with a vote"))
    cluster.settle(500)
    assert cluster.committed("d", ticket)
    assert len(cluster.digests()) == 1


def test_who_is_removed_learns_that_it_is_and_goes_on_as_a_learner() -> None:
    cluster = Cluster(THREE)
    pending = cluster.submit("c", put("of c"))
    change = cluster.change("a", epoch_of("a", "b", quorum_size=1, number=2))
    cluster.settle(2_000)
    assert cluster.committed("a", change)
    assert [event.ticket for event in cluster["c"].forwarded] == [pending], "void, so a voter's now"
    assert cluster["c"].chain.status(0).role == "learner"
    ticket = cluster.submit("a", put("without c"))
    cluster.settle(2_000)
    assert cluster.committed("a", ticket)
    assert len(cluster.digests()) == 1


def test_of_two_changes_at_once_one_wins_everywhere() -> None:
    cluster = Cluster(THREE, "d", "e")
    first = cluster.change("a", epoch_of("a", "b", "c", "d", quorum_size=2, number=2))
    second = cluster.change("b", epoch_of("a", "b", "c", "e", quorum_size=2, number=2))
    cluster.settle(3_000)
    outcomes = [cluster["a"].answers[first], cluster["b"].answers[second]]
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    assert len({node.chain.epoch for node in cluster.nodes.values()}) == 1


def test_an_epoch_survives_a_restart_of_all() -> None:
    cluster = Cluster(THREE, "d")
    cluster.submit("a", put("x"))
    cluster.settle(1_500)
    cluster.change("a", epoch_of("a", "b", "d", quorum_size=2, number=2))
    cluster.settle(2_000)
    for name in "abcd":
        cluster.restart(name)
    cluster.settle(2_000)
    assert {node.chain.epoch.number for node in cluster.nodes.values()} == {2}
    ticket = cluster.submit("d", put("y"))
    cluster.settle(1_000)
    assert cluster.committed("d", ticket)


def test_packets_of_another_cluster_are_nothing() -> None:
    cluster, other = Cluster(THREE), Cluster(THREE)
    for node in other.nodes.values():
        node.chain._epoch = epoch_of("a", "b", "c", quorum_size=2)
        node.chain._epoch = type(THREE)(1, "other", THREE.members, 2)
    other.submit("a", put("x"))
    for to, event in [e for e in other._queue if e[0] != "a"]:
        cluster.step(to, event)
    cluster.settle(500)
    assert cluster.digests() == {(0, 0)}


def test_a_restart_of_all_has_again_what_a_laggard_needs() -> None:
    cluster = Cluster(THREE)
    cluster.cut = {("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")}
    cluster.believe("a", "b")
    for k in range(10):
        cluster.submit("a", put(str(k)))
    cluster.settle(500)
    for name in "ab":
        cluster.image(name)
    for name in "abc":
        cluster.restart(name)
    cluster.cut = set()
    cluster.settle(2_000)
    assert cluster["c"].behind is None, "no snapshot for what the logs of the others have"
    assert len(cluster.digests()) == 1
