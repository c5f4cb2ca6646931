"""Several nodes over HTTP: who takes part, what an operator has them do, what others have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.core.consensus.group import GroupStatus
from actors.core.heartbeat import CLOCK_SKEW, Heartbeat
from actors.core.job import Ending
from actors.core.placement import NodeCapacity
from actors.core.store.txn import Txn
from actors.errors import NoQuorum
from actors.model import keys
from actors.model.codec import encode
from actors.model.epoch import Epoch, Member
from actors.model.job import Output, Summary
from actors.model.join_token import parse_join_token
from actors.model.node import NodeRecord
from actors.model.session import Session
from tests.unit.http.facade import Facade, facade
from tests.unit.http.memory_gateway import MemoryGateway
from tests.unit.http.test_jobs import submit

__all__ = ["populate"]

EPOCH = Epoch(3, "c1", (Member("n1"), Member("n2", "n2:7800"), Member("n3")), 2)


def heartbeat(
    node: str, executed: int, *conditions: str, name: str = "", http: str = ""
) -> Heartbeat:
    name = name or f"name-{node}"
    capacity = NodeCapacity(
        node, 4, 4, 4000, 4000, 2**30, 2**30, frozenset({"command"}), {"zone": "b"}, name
    )
    return Heartbeat(
        node=node,
        incarnation=1,
        session=5,
        sent_ms=1,
        heard={},
        capacity=capacity,
        executed=executed,
        conditions=conditions,
        addresses={"http": http or f"{node}:8080"},
        version="9.9",
    )


def isolate(gateway: MemoryGateway, isolated_since_ms: int | None) -> None:
    gateway.peers.update(
        voters=EPOCH.nodes,
        alive=frozenset({"n1", "n2", "w1"}),
        leader="n1",
        isolated_since_ms=isolated_since_ms,
        conditions=(),
        keeps_time=True,
    )


@pytest.fixture
def three() -> Iterator[Facade]:
    with facade() as served:
        served.do(populate, served.gateway)
        yield served


def populate(gateway: MemoryGateway, name: str = "", http: str = "") -> None:
    """Have n2, which is well, n3, which is lost, and w1, a worker, beside n1, which answers."""
    for node, state in (("n2", "up"), ("n3", "lost"), ("w1", "up")):
        session = Session(state, 1, gateway.now_ms, name or f"name-{node}")  # type: ignore[arg-type]
        gateway.commit(Txn((), ((keys.session(node), encode(session)),)))
    now_ms = int(gateway.monotonic_s * 1000)
    gateway.peers.hear(heartbeat("n2", 97, CLOCK_SKEW, name=name, http=http), now_ms - 400)
    gateway.peers.hear(heartbeat("w1", 90, name=name), now_ms - 700)
    isolate(gateway, None)
    gateway.group = GroupStatus(
        role="voter", epoch=EPOCH, index=95, fast=60, slow=30, recovered=5, lag=2, unstable_ms=8
    )


def test_a_node_alone_is_all_of_its_cluster(served: Facade) -> None:
    cluster = served.api("GET", "/cluster").json
    assert (cluster["mode"], cluster["epoch"], cluster["quorum"]) == ("solo", 1, 1)
    assert cluster["reachable"]
    assert [member["id"] for member in cluster["members"]] == ["n1"]
    (only,) = served.api("GET", "/nodes").json["items"]
    assert (only["role"], only["heard_ms"], only["cordoned"]) == ("voter", 0, False)


def test_the_cluster_has_its_members_as_they_are_heard(three: Facade) -> None:
    cluster = three.api("GET", "/cluster").json
    assert (cluster["mode"], cluster["epoch"], cluster["node"]) == ("cluster", 3, "n1")
    assert cluster["quorums"] == {
        "voters": 3, "tolerates": 1, "fast": 2, "slow": 2, "recovery": 2, "stability": 2,
    }  # fmt: skip
    assert cluster["consensus"] == {
        "role": "voter", "executed": 95, "fast": 60, "slow": 30, "recovered": 5,
        "stable_lag": 2, "unstable_ms": 8,
    }  # fmt: skip
    members = {member["id"]: member for member in cluster["members"]}
    assert list(members) == ["n1", "n2", "n3", "w1"]
    assert [members[node]["role"] for node in members] == ["voter", "voter", "voter", "worker"]
    assert [members[node]["alive"] for node in members] == [True, True, False, True]
    assert [members[node]["heard_ms"] for node in members] == [0, 400, None, 700]
    assert [members[node]["lag"] for node in members] == [2, 0, 97, 7]
    assert members["n2"]["address"] == "n2:7800"


def test_nodes_are_also_those_that_are_lost(three: Facade) -> None:
    nodes = {node["id"]: node for node in three.api("GET", "/nodes").json["items"]}
    assert {node: shown["state"] for node, shown in nodes.items()} == {
        "n1": "up", "n2": "up", "n3": "lost", "w1": "up",
    }  # fmt: skip
    assert nodes["n2"]["name"] == "name-n2"
    assert nodes["n2"]["labels"] == {"zone": "b"}
    assert nodes["n2"]["version"] == "9.9"
    assert nodes["n2"]["addresses"] == {"http": "n2:8080"}
    assert [found["type"] for found in nodes["n2"]["conditions"]] == [CLOCK_SKEW]
    assert (nodes["n3"]["slots_total"], nodes["n3"]["version"]) == (0, "")
    assert three.api("GET", "/nodes/n2").json == nodes["n2"] | {
        "heard_ms": three.api("GET", "/nodes/n2").json["heard_ms"]
    }
    assert three.api("GET", "/nodes/n9").status == 404


def test_a_node_is_cordoned_drained_and_taken_back(three: Facade) -> None:
    cordoned = three.api("POST", "/nodes/n2/cordon")
    assert (cordoned.status, cordoned.json["cordoned"], cordoned.json["drain"]) == (200, True, None)
    again = three.api("POST", "/nodes/n2/cordon")
    assert again.headers["X-JobD-Revision"] == cordoned.headers["X-JobD-Revision"]
    drained = three.api("POST", "/nodes/n2/drain", {"mode": "requeue", "deadline": "10m"})
    assert drained.json["drain"] == {
        "mode": "requeue", "deadline": "2027-01-15T08:10:00.000Z", "running": 0,
    }  # fmt: skip
    events = three.api("GET", "/events?types=jobd:node:draining").json["items"]
    assert [event["subject"] for event in events] == ["node/n2"]
    back = three.api("POST", "/nodes/n2/uncordon").json
    assert (back["cordoned"], back["drain"]) == (False, None)
    assert three.api("POST", "/nodes/n9/drain").status == 404
    assert three.api("POST", "/nodes/n2/drain", {"deadline": "soon"}).status == 400
    assert three.api("POST", "/nodes/n2/drain", {"mode": "now"}).status == 400


def test_a_node_that_is_cut_off_says_how_old_its_answers_are(three: Facade) -> None:
    assert "X-JobD-Stale" not in three.api("GET", "/jobs").headers
    now_ms = int(three.gateway.monotonic_s * 1000)
    three.do(isolate, three.gateway, now_ms - 7_000)
    for path in ("/jobs", "/jobs/no-such", "/status", "/cluster"):
        assert three.api("GET", path).headers["X-JobD-Stale"] == "7000", path
    with three.stream("/events/stream"):
        pass
    cluster = three.api("GET", "/cluster").json
    assert (cluster["reachable"], cluster["isolated_ms"]) == (False, 7_000)


def test_what_was_not_submitted_is_said_to_be_not_accepted(served: Facade) -> None:
    served.gateway.broken = NoQuorum("no majority", remedy="ask another node")
    answer = served.api("POST", "/jobs", {"name": "j", "type": "command", "shell": "true"})
    assert (answer.status, answer.json["accepted"]) == (503, False)
    assert answer.json["type"] == "urn:jobd:problem:no_quorum"


def _away(gateway: MemoryGateway, *, attempts: int, out: bytes = b"") -> Any:
    """Run a job's attempts at n1, which then can't be reached."""

    def run(job_id: str) -> None:
        for left in reversed(range(attempts)):
            attempt = gateway.start(job_id)
            gateway.write_log(attempt, out)
            outcome = "failed" if left else "succeeded"
            gateway.end(attempt, Ending(outcome, "exit", exit_code=left))  # type: ignore[arg-type]
        gateway.away.add("n1")

    return run


def test_the_log_of_a_node_that_is_away_is_a_problem_that_names_it(served: Facade) -> None:
    job_id = submit(served)
    served.do(_away(served.gateway, attempts=1, out=b"line\n"), job_id)
    answer = served.api("GET", f"/jobs/{job_id}/logs")
    assert (answer.status, answer.json["type"]) == (503, "urn:jobd:problem:node_unreachable")
    assert "n1" in answer.json["detail"]
    with served.stream(f"/jobs/{job_id}/logs/stream") as events:
        told = list(events)
    assert [event for event, _, _ in told] == ["unreachable", "end"]
    assert told[0][2]["node"] == "n1"
    assert (told[0][2]["attempt"], told[0][2]["from"]) == (1, 0)


def test_an_artifact_of_another_node_comes_in_pieces(served: Facade, tmp_path: Path) -> None:
    job_id, data = submit(served), b"0123456789" * 10
    file = tmp_path / "output"
    file.write_bytes(data)

    def make() -> None:
        gateway = served.gateway
        gateway.run(job_id)
        output = Output(None, len(data), "d" * 64)
        gateway.commit(Txn((), ((keys.output(job_id, 0), encode(output)),)))
        gateway.artifacts[job_id, 0] = file
        job = gateway.state.get(keys.job(job_id))
        assert job is not None
        moved = Summary(1, "succeeded", "exit", "n2", 0, 0)
        gateway.commit(Txn((), ((keys.job(job_id), encode(replace(job.noun, last=(moved,)))),)))

    served.do(make)
    for path in ("artifacts/output", "output"):
        answer = served.api("GET", f"/jobs/{job_id}/{path}")
        assert (answer.status, answer.body) == (200, data)
        assert answer.headers["Content-Length"] == "100"
    served.gateway.away.add("n2")
    assert served.api("GET", f"/jobs/{job_id}/artifacts/output").status == 503


def test_actors_of_another_node_are_asked_there(three: Facade) -> None:
    assert three.api("GET", "/actors?node=n1").status == 200
    assert three.gateway.asked == []
    assert three.api("GET", "/actors?node=n2&prefix=/slot&limit=5").json["items"] == []
    assert three.api("GET", "/actors/slot/0?node=n2").status == 200
    assert three.gateway.asked == [
        ("n2", "list_actors", {}, (("prefix", "/slot"), ("limit", "5"))),
        ("n2", "get_actor", {"address": "slot/0"}, ()),
    ]


def test_why_names_the_home(three: Facade) -> None:
    job_id = submit(three)
    assert three.api("GET", f"/jobs/{job_id}/explain").json["home"] in ("n1", "n2")


def test_a_follower_becomes_a_voter_and_one_no_more(three: Facade) -> None:
    assert three.api("POST", "/cluster/members", {"node": "n9"}).status == 404
    record = NodeRecord("name-w1", "w1:7800")
    three.do(three.gateway.commit, Txn((), ((keys.node("w1"), encode(record)),)))
    added = three.api("POST", "/cluster/members", {"node": "w1"})
    assert (added.status, added.json["epoch"]) == (200, 4)
    voters = [m["id"] for m in added.json["members"] if m["role"] == "voter"]
    assert voters == ["n1", "n2", "n3", "w1"]
    assert three.api("POST", "/cluster/members", {"node": "w1"}).status == 409
    assert three.api("DELETE", "/cluster/members/w1").status == 204
    assert three.api("GET", "/cluster").json["epoch"] == 5
    assert three.api("GET", "/nodes/w1").json["role"] == "worker"
    events = three.api("GET", "/events?types=jobd:epoch:changed").json["items"]
    assert [event["data"]["epoch"] for event in events] == [4, 5]


def test_a_lost_voter_is_removed_and_forgotten(three: Facade) -> None:
    assert three.api("DELETE", "/cluster/members/n3").status == 204
    cluster = three.api("GET", "/cluster").json
    assert [member["id"] for member in cluster["members"]] == ["n1", "n2", "w1"]
    assert "third" in cluster["warning"]
    assert three.api("GET", "/nodes/n3").status == 404
    assert three.api("DELETE", "/cluster/members/n3").status == 404


def test_a_node_that_is_up_or_runs_something_is_not_forgotten(three: Facade) -> None:
    refused = three.api("DELETE", "/cluster/members/w1")
    assert (refused.status, refused.json["remedy"]) == (409, "stop it first")
    job_id = submit(three)

    def lose() -> None:
        gateway = three.gateway
        attempt = gateway.start(job_id)
        entry = gateway.state.get(attempt)
        assert entry is not None
        moved = replace(entry.noun, node="w1")
        gateway.commit(Txn((), ((attempt, encode(moved)),)))
        session = Session("lost", 1, gateway.now_ms, "name-w1")
        gateway.commit(Txn((), ((keys.session("w1"), encode(session)),)))

    three.do(lose)
    assert "1 attempts" in three.api("DELETE", "/cluster/members/w1").json["detail"]


def test_a_node_without_a_vote_has_a_voter_change_the_members(three: Facade) -> None:
    others = Epoch(3, "c1", (Member("n2"), Member("n3"), Member("n4")), 2)
    three.do(three.gateway.begin, others)
    assert three.api("POST", "/cluster/members", {"node": "w1"}).status == 200
    assert three.api("DELETE", "/cluster/members/n3").status == 204
    assert [asked[:2] for asked in three.gateway.asked] == [
        ("n2", "add_member"), ("n2", "remove_member"),
    ]  # fmt: skip


def test_a_join_token_is_made_once_shown_once_and_revoked(served: Facade) -> None:
    headers = {"Idempotency-Key": "k"}
    made = served.api("POST", "/cluster/join-tokens", {"ttl": "10m"}, headers=headers)
    assert made.status == 201
    text = parse_join_token(made.json["token"])
    assert text is not None
    assert text.id == made.json["id"]
    again = served.api("POST", "/cluster/join-tokens", {"ttl": "10m"}, headers=headers)
    assert (again.status, again.json) == (200, {"id": text.id, "token": None})
    (listed,) = served.api("GET", "/cluster/join-tokens").json["items"]
    assert (listed["id"], listed["expires_at"]) == (text.id, "2027-01-15T08:10:00.000Z")
    stored = served.gateway.state.get(keys.join_token(text.id))
    assert stored is not None
    assert stored.noun.accepts(text.secret, served.gateway.now_ms)
    served.gateway.now_ms += 600_000
    assert served.api("GET", "/cluster/join-tokens").json["items"] == []
    assert served.api("DELETE", f"/cluster/join-tokens/{text.id}").status == 204
    assert served.api("DELETE", f"/cluster/join-tokens/{text.id}").status == 404
    assert served.api("POST", "/cluster/join-tokens", {"ttl": "0s"}).status == 400


def test_a_client_is_let_in_by_its_key_and_no_more(served: Facade) -> None:
    one, other = "1a" * 32, "2b" * 32
    put = served.api("PUT", "/cluster/keys/laptop", {"key": one.upper()})
    assert put.status == 200
    assert served.api("PUT", "/cluster/keys/laptop", {"key": one}).json == put.json  # as it is
    (listed,) = served.api("GET", "/cluster/keys").json["items"]
    assert (listed["name"], listed["key"]) == ("laptop", one)
    assert served.api("PUT", "/cluster/keys/ci", {"key": one}).status == 409
    assert served.api("PUT", "/cluster/keys/laptop", {"key": other}).status == 200
    stored = served.gateway.state.get(keys.client_key("laptop"))
    assert stored is not None
    assert stored.noun.key == bytes.fromhex(other)
    for name, key in (("laptop", "abc"), ("a%20b", one), ("laptop", 5)):
        assert served.api("PUT", f"/cluster/keys/{name}", {"key": key}).status == 400
    assert served.api("DELETE", "/cluster/keys/laptop").status == 204
    assert served.api("DELETE", "/cluster/keys/laptop").status == 404
    assert served.api("GET", "/cluster/keys").json["items"] == []
