"""The verbs of a cluster, by both clients, and how one finds the other nodes."""

from __future__ import annotations

import asyncio

import pytest

from actors.errors import Conflict, NotFound
from actors.model.join_token import parse_join_token
from jobd.api.node_views import NodeView
from jobd.client import AsyncClient, Client
from jobd.client.address import GIVEN, Target, others_of
from jobd.client.retry import Nodes
from tests.unit.client.door import Door
from tests.unit.http.test_cluster import populate


@pytest.fixture
def three(door: Door) -> Door:
    door.do(populate, door.gateway)
    return door


def test_nodes_are_emptied_and_members_removed(three: Door, client: Client) -> None:
    assert [member.id for member in client.cluster().members] == ["n1", "n2", "n3", "w1"]
    assert client.cordon("n2").cordoned
    drained = client.drain("n2", "requeue", deadline="10m").drain
    assert drained is not None
    assert drained.mode == "requeue"
    assert not client.uncordon("n2").cordoned
    client.members.remove("n3")
    assert client.cluster().warning
    with pytest.raises(Conflict):
        client.members.remove("w1")
    with pytest.raises(NotFound):
        client.members.add("w1")
    minted = client.members.create_token(ttl="5m")
    assert minted.token is not None
    assert parse_join_token(minted.token)
    assert [token.id for token in client.members.list_tokens()] == [minted.id]
    client.members.revoke_token(minted.id)
    assert client.members.list_tokens() == []
    assert client.members.put_key("laptop", "1a" * 32).name == "laptop"
    assert [each.key for each in client.members.list_keys()] == ["1a" * 32]
    client.members.delete_key("laptop")
    assert client.members.list_keys() == []
    assert list(client.list_actors(node="n2")) == []


def test_the_asyncio_client_has_the_same(three: Door) -> None:
    async def use() -> None:
        async with AsyncClient(three.address, token=three.token) as client:
            assert (await client.cordon("n2")).cordoned
            assert (await client.uncordon("n2")).cordoned is False
            await client.members.remove("n3")
            assert len((await client.cluster()).members) == 3

    asyncio.run(use())


def node(cluster: str, state: str = "up") -> NodeView:
    return NodeView(
        id=cluster, name="", version="", role="voter", incarnation=1, state=state, since=None,  # type: ignore[arg-type]
        uptime_s=None, heard_ms=0, labels={}, executors=[], slots_total=0, slots_free=0,
        cpu_milli_total=0, cpu_milli_free=0, memory_bytes_total=0, memory_bytes_free=0,
        cordoned=False, drain=None, executed=0, conditions=[], addresses={"cluster": cluster},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("here", "told", "reached"),
    [
        ("127.0.0.1:1", "127.0.0.1:7801", ("127.0.0.1:7801",)),
        ("n1:7800", "n2:7800", ("n2:7800",)),
        ("n1:7800", "127.0.0.1:7801", ()),
        ("n1:7800", "0.0.0.0:7800", ()),
        ("n1:7800", "", ()),
    ],
)
def test_where_others_are_reached(here: str, told: str, reached: tuple[str, ...]) -> None:
    assert others_of([node(told)], here) == reached
    assert others_of([node(told, "lost")], here) == ()


def test_what_a_node_told_of_is_used_when_it_fails(three: Door) -> None:
    nodes = Nodes(lambda: Target(("a:1",), "", GIVEN))
    assert nodes.asks_for_others
    nodes.told(("a:1", "b:2"))
    assert not nodes.asks_for_others
    assert (nodes.current, nodes.count) == ("a:1", 2)
    nodes.failed("a:1")
    assert nodes.current == "b:2"
    nodes.failed("b:2")
    assert nodes.current == "a:1"
