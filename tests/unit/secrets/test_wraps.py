"""A node that comes later can open what was sealed before it, once another has wrapped for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends.seal_box import KeyFileBox
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Committed, Conflict, Txn
from actors.errors import SealingKeyLost
from actors.model import keys
from actors.model.codec import encode
from actors.model.node import NodeRecord


class Cluster:
    """One store, and a vault for each node."""

    def __init__(self, data: Path) -> None:
        self.state = State()
        self.data = data
        self.vaults: dict[str, Vault] = {}

    def add(self, name: str) -> Vault:
        """Have a node with a key, that says so."""
        vault = Vault(self.state, name, lambda: KeyFileBox(self.data / name))
        vault.make_ready()
        self.vaults[name] = vault
        self.say(name, vault.public_key)
        return vault

    def say(self, name: str, key: bytes) -> None:
        record = NodeRecord(name, seal_key=key)
        self.state.apply(Txn((), ((keys.node(name), encode(record)),)))

    def wrap(self, name: str) -> list[str]:
        """Have a node wrap for all that lack it; return where."""
        places = []
        for place, txn in self.vaults[name].wraps(7):
            assert isinstance(self.state.apply(txn), Committed)
            places.append(place)
        return places

    def put(self, by: str, name: str) -> None:
        sealed = self.vaults[by].seal(name, b"swordfish", 7)
        assert isinstance(self.state.apply(Txn(sealed.checks, sealed.ops)), Committed)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_the_first_secret_opens_at_all_nodes(cluster: Cluster) -> None:
    vaults = [cluster.add(name) for name in ("a", "b", "c")]
    cluster.put("b", "db")
    assert [vault.open("db") for vault in vaults] == ["swordfish"] * 3
    assert all(cluster.wrap(name) == [] for name in ("a", "b", "c"))


def test_a_newcomer_can_open_once_another_has_wrapped_for_it(cluster: Cluster) -> None:
    cluster.add("a")
    cluster.put("a", "db")
    late = cluster.add("b")
    with pytest.raises(SealingKeyLost, match="not wrapped for this node"):
        late.open("db")
    assert cluster.wrap("b") == []  # it has nothing to give
    assert cluster.wrap("a") == ["sealkey/00001/b"]
    assert late.open("db") == "swordfish"
    cluster.put("b", "other")
    assert cluster.vaults["a"].open("other") == "swordfish"


def test_two_that_wrap_at_once_do_so_once(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.add(name)
    cluster.put("a", "db")
    cluster.add("c")
    ((_, first),) = cluster.vaults["a"].wraps(7)
    ((_, second),) = cluster.vaults["b"].wraps(7)
    assert isinstance(cluster.state.apply(first), Committed)
    assert isinstance(cluster.state.apply(second), Conflict)
    assert cluster.vaults["c"].open("db") == "swordfish"


def test_a_node_with_another_key_gets_another_wrap(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("a", "b"):
        cluster.add(name)
    cluster.put("a", "db")
    (tmp_path / "b" / "node.x25519").unlink()
    again = cluster.add("b")
    with pytest.raises(SealingKeyLost):
        again.open("db")
    assert cluster.wrap("a") == ["sealkey/00001/b"]
    assert again.open("db") == "swordfish"


def test_a_wrap_is_for_its_node_alone(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.add(name)
    cluster.put("a", "db")
    stolen = cluster.state.raw(keys.seal_key(1, "b"))
    assert stolen is not None
    cluster.state.apply(Txn((), ((keys.seal_key(1, "a"), stolen[1]),)))
    with pytest.raises(SealingKeyLost):
        cluster.vaults["a"].open("db")
