"""What a configuration of the cluster may say, and what is refused with which remedy."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import ConfigError
from jobd.config import load

THREE = ["node1:7800", "node2:7800", "node3:7800"]
KEY = "0f" * 32


def cluster(**keys: Any) -> Any:
    return load(None, {}, {f"cluster.{name}": value for name, value in keys.items()}).cluster


@pytest.mark.parametrize(
    ("members", "given", "size"), [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 2), (4, 0, 2), (5, 2, 2)]
)
def test_a_quorum_size_that_is_not_given_lets_most_fail(
    members: int, given: int, size: int
) -> None:
    peers = [f"node{n}:7800" for n in range(members)]
    assert cluster(bootstrap_peers=peers, quorum_size=given).first_quorum_size == size


@pytest.mark.parametrize(
    ("keys", "said", "remedy"),
    [
        ({"bootstrap_peers": THREE, "quorum_size": 1}, "cluster.quorum_size 1", "give 2"),
        ({"bootstrap_peers": THREE, "quorum_size": 3}, "cluster.quorum_size 3", "give 2"),
        ({"bootstrap_peers": ["node1"]}, "'node1' is not HOST:PORT", "node1:7800"),
        ({"bootstrap_peers": ["node1:0"]}, "'node1:0' is not HOST:PORT", "node1:7800"),
        ({"bootstrap_peers": ["a:1", "a:1"]}, "names a:1 twice", "once"),
        ({"advertise": "a"}, "cluster.advertise: 'a' is not", "node1:7800"),
        ({"bootstrap_peers": THREE, "role": "worker"}, "role worker has bootstrap", "--join"),
        ({"bootstrap_peers": THREE, "enabled": False}, "enabled is false", "leave one"),
        ({"heartbeat_interval_ms": 3000}, "below three heartbeats", "9000"),
        ({"bootstrap_peers": THREE, "keys": {"b:1": KEY}}, "b:1, which is no", "name it as"),
        ({"bootstrap_peers": THREE, "keys": {"node1:7800": "x"}}, "is no key", "jobd keys show"),
        ({"peers": THREE}, "cluster.peers (from the command line) is not a known key", ""),
        ({"role": "king"}, "cluster.role", "voter, worker"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], said: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as error:
        cluster(**keys)
    assert said in error.value.message
    assert remedy in error.value.remedy
    assert "\n" not in error.value.message


def test_lists_and_keys_come_from_variables_too() -> None:
    given = {
        "JOBD_CFG_CLUSTER__BOOTSTRAP_PEERS": ",".join(THREE),
        "JOBD_CFG_CLUSTER__KEYS": f"node1:7800={KEY}",
    }
    found = load(None, given, {}).cluster
    assert (list(found.bootstrap_peers), found.keys) == (THREE, {"node1:7800": KEY})
