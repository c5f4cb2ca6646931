"""What is applied twice, or again after a restart, changes nothing the second time."""

from actors.consensus_replica import ConsensusReplica
from actors.core.consensus.chain import alone
from actors.core.consensus.group import Apply
from actors.core.store.state import State
from actors.core.store.txn import SessionRef, Txn
from actors.image_backlog import ImageBacklog
from actors.model.codec import encode
from tests.unit.consensus.group import Cluster, epoch_of, put


def test_a_repeat_leaves_the_newer_value_in_the_image() -> None:
    state, backlog, group = State(), ImageBacklog({}, []), alone("n")
    replica = ConsensusReplica(group, state, node="n", backlog=backlog)
    opened = Txn((), (("session/n", encode(b"")),))
    first = Txn((), (("kv/t/k", encode(b"old")),), session=SessionRef("n", 1, 1, 1))
    second = Txn((), (("kv/t/k", encode(b"new")),), session=SessionRef("n", 1, 2, 1))
    for index, txn in enumerate((opened, first, second, first), 1):
        list(replica._apply(Apply(index, (txn,), (0,))))
    rows = {row.key: row for row in backlog.hand_over(state, group).rows}
    assert (rows["kv/t/k"].revision, rows["kv/t/k"].value) == (3, encode(b"new"))


def test_a_node_that_is_alone_again_applies_no_batch_twice_at_a_restart() -> None:
    cluster = Cluster(epoch_of("a", "b", quorum_size=1))
    for k in range(5):
        cluster.submit("a", put(f"both{k}"))
    cluster.settle(500)
    cluster.change("a", epoch_of("a", quorum_size=1, number=2))
    cluster.settle(500)
    for k in range(5):
        cluster.submit("a", put(f"alone{k}"))
        cluster.settle()
    before = (cluster["a"].chain.index, cluster["a"].state.revision)
    cluster.image("a")
    cluster.restart("a")
    cluster.settle(100)
    assert (cluster["a"].chain.index, cluster["a"].state.revision) == before
