"""Who may connect to the cluster port, and what a node with keys wants to know beforehand."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from actors.errors import ConfigError, Forbidden
from actors.runtime.curve import new_curve, public_of
from actors.runtime.keys import Keys
from actors.runtime.origin import Origin
from jobd.cluster_section import ClusterSection
from jobd.node.cluster_port import endpoint
from jobd.node.link_keys import LinkKeys
from jobd.node.wiring import port_keys
from jobd.node.wiring.port_keys import Vouching, check_peers, join_keys, open_keys, ticket_of
from tests.unit.cluster.test_allow_list import Clock

OWN = Keys(new_curve())
KEY = new_curve().public.hex()
PEERS = ("a:1", "b:1", "c:1")


def section(**keys: str) -> ClusterSection:
    return ClusterSection(
        bootstrap_peers=PEERS, keys={f"{name}:1": key for name, key in keys.items()}
    )


def test_a_node_without_keys_has_none_and_one_with_them_takes_itself(tmp_path: Path) -> None:
    assert open_keys(tmp_path, ClusterSection(), Clock()) is None
    own = LinkKeys(tmp_path).make()
    keys = open_keys(tmp_path, section(a=KEY), Clock())
    assert keys is not None
    assert keys.own == own
    assert keys.check(own.public, "node") == keys.check(bytes.fromhex(KEY), "node") == "node"
    with pytest.raises(Forbidden, match="not known"):
        keys.check(new_curve().public, "node")


def test_the_keys_of_all_peers_but_this_node_itself_are_wanted() -> None:
    own = OWN.own.public.hex()
    check_peers(None, section(), "a:1")
    check_peers(OWN, section(b=KEY, c=KEY), "a:1")
    check_peers(OWN, section(b=KEY, c=KEY), "0.0.0.0:1")  # the third may be this one
    check_peers(OWN, section(a=own, b=KEY, c=KEY), "0.0.0.0:1")
    for keys, bound in (
        (section(b=KEY), "a:1"),
        (section(b=KEY), "0.0.0.0:1"),
        (section(a=own, b=KEY), "0.0.0.0:1"),
    ):
        with pytest.raises(ConfigError, match=r"cluster\.keys names no key of"):
            check_peers(OWN, keys, bound)


def test_a_join_token_is_a_key_where_links_are_encrypted() -> None:
    secret = new_curve().secret.hex()
    public, own = join_keys(OWN, secret)
    assert own == OWN.own.public.hex()
    ticket = ticket_of(OWN, secret, own)
    assert ticket is not None
    assert ticket.public == public == public_of(bytes.fromhex(secret))
    assert join_keys(None, secret) == (b"", "")
    assert ticket_of(None, secret, "") is None
    for keys, key in ((None, own), (OWN, "")):
        with pytest.raises(ConfigError, match="encrypted"):
            ticket_of(keys, secret, key)


def test_the_port_is_on_loopback_without_keys() -> None:
    assert endpoint(("127.0.0.1", 0), has_keys=False) == "tcp://127.0.0.1:*"
    assert endpoint(("::1", 7800), has_keys=False) == "tcp://[::1]:7800"
    assert endpoint(("0.0.0.0", 7800), has_keys=True) == "tcp://0.0.0.0:7800"
    assert endpoint(("::", 7800), has_keys=True) == "tcp://[::]:7800"
    for host in ("0.0.0.0", "10.0.0.1", "example.invalid", "::"):
        with pytest.raises(ConfigError, match="no keys") as caught:
            endpoint((host, 7800), has_keys=False)
        assert "jobd keys new" in caught.value.remedy
    with pytest.raises(ConfigError, match=r"example\.invalid"):
        endpoint(("example.invalid", 7800), has_keys=True)


def test_a_connection_of_this_user_is_vouched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), []
    vouching = Vouching(clock)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as there,
    ):
        here, remote = listener.accept()
        with here:
            origin = Origin(local=here.getsockname(), remote=remote)
            vouching.check(origin)
            vouching.check(Origin(local=there.getsockname(), remote=there.getpeername()))
    for stranger in (Origin(), origin, Origin(local=origin.local, remote=("10.0.0.1", 1))):
        with pytest.raises(Forbidden, match="own user"):
            vouching.check(stranger)

    def user_at(remote: object, local: object) -> int:
        asked.append(remote)
        return 65_534

    monkeypatch.setattr(port_keys, "user_at", user_at)
    other = Origin(local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
    for _ in range(100):  # it is not looked up for each hello
        with pytest.raises(Forbidden):
            vouching.check(other)
    assert len(asked) == 1
    clock.now += 1
    with pytest.raises(Forbidden):
        vouching.check(other)
    assert len(asked) == 2
