"""jobctl over several nodes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from actors.core.job import Ending
from actors.model.join_token import parse_join_token
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade, facade
from tests.unit.http.test_cluster import populate
from tests.unit.http.test_jobs import submit


@pytest.fixture
def served() -> Iterator[Facade]:
    with facade() as one:
        one.do(populate, one.gateway)
        yield one


def rows(out: bytes) -> list[list[str]]:
    return [line.split() for line in out.decode().splitlines()]


def test_the_cluster_on_a_page(jobctl: Jobctl) -> None:
    page = jobctl("cluster").out.decode()
    assert "cluster, epoch 3 of c1" in page
    assert "2 of 3 voters" in page
    assert "60 fast, 30 slow, 5 recovered" in page
    assert "2 wait, the oldest for 8 ms" in page
    assert json.loads(jobctl("cluster", "-o", "json").out)["leader"] == "n1"
    members = rows(jobctl("cluster", "members").out)
    assert [row[:5] for row in members[1:]] == [
        ["n1", "n1", "voter", "up", "0.0s"],
        ["n2", "name-n2", "voter", "up", "0.4s"],
        ["n3", "name-n3", "voter", "lost", "-"],
        ["w1", "name-w1", "worker", "up", "0.7s"],
    ]


def test_a_node_is_taken_out_of_work_and_back(jobctl: Jobctl) -> None:
    assert "is cordoned" in jobctl("node", "cordon", "name-n2").err
    assert ["n2", "name-n2", "voter", "cordoned"] in [
        r[:4] for r in rows(jobctl("node", "list").out)
    ]
    assert "is drained" in jobctl("node", "drain", "n2", "--mode", "requeue", "--wait").err
    assert "takes work" in jobctl("node", "uncordon", "n2").err
    assert jobctl("node", "drain", "n9").code == 66
    assert jobctl("node", "drain", "n2", "--deadline", "soon").code == 64


def test_a_drain_is_waited_for(served: Facade, jobctl: Jobctl) -> None:
    job_id, ending = submit(served), Ending("succeeded", "exit", exit_code=0)
    attempt = served.do(served.gateway.start, job_id)
    drained = jobctl("node", "drain", "n1", "--deadline", "10m")
    assert "drains (finish until 2027-01-15T08:10:00.000Z): 1 still run" in drained.err
    assert ["n1", "n1", "voter", "draining"] in [r[:4] for r in rows(jobctl("node", "list").out)]
    threading.Timer(1, lambda: served.do(served.gateway.end, attempt, ending)).start()
    began = time.monotonic()
    assert "is drained" in jobctl("node", "drain", "n1", "--wait").err
    assert time.monotonic() - began > 0.5


def test_two_nodes_of_one_name_are_told_apart_by_id(served: Facade, jobctl: Jobctl) -> None:
    served.do(populate, served.gateway, "same")
    ran = jobctl("node", "get", "same")
    assert (ran.code, "3 nodes are named" in ran.err) == (64, True)


def test_a_job_shows_its_home(served: Facade, jobctl: Jobctl) -> None:
    job_id = submit(served)
    (home,) = [r[1] for r in rows(jobctl("job", "get", job_id, "-o", "wide").out) if r[0] == "home"]
    assert home in ("n1", "n2")
    assert b"home" not in jobctl("job", "get", job_id).out
    assert b"home" in jobctl("job", "why", job_id, "-o", "wide").out


def test_actors_of_another_node(served: Facade, jobctl: Jobctl) -> None:
    assert jobctl("actor", "list", "--node", "name-n2").code == 0
    assert served.gateway.asked[0][:2] == ("n2", "list_actors")
    served.gateway.away.add("n2")
    assert jobctl("actor", "list", "--node", "n2").code == 70


def test_a_node_is_asked_to_join_by_a_token(jobctl: Jobctl) -> None:
    text = jobctl("cluster", "token", "create", "--ttl", "10m", "-q").out.decode().strip()
    token = parse_join_token(text)
    assert token is not None
    assert rows(jobctl("cluster", "token", "list").out)[1][0] == token.id
    assert jobctl("cluster", "token", "revoke", token.id).code == 0
    assert jobctl("cluster", "token", "list").out.count(b"\n") == 1


def test_members_are_removed(jobctl: Jobctl) -> None:
    assert "node/name-n3 removed" in jobctl("cluster", "remove", "name-n3").err
    assert b"warning" in jobctl("cluster").out
    assert jobctl("cluster", "remove", "w1").code == 76
    assert jobctl("cluster", "add", "w1").code == 66


def test_top_has_a_line_for_each_node(jobctl: Jobctl) -> None:
    page = jobctl("top").out.decode()
    lines = [line.split()[:3] for line in page.splitlines()]
    for line in (["name-n2", "up", "voter"], ["name-n3", "lost", "voter"], ["n1", "up", "voter"]):
        assert line in lines, page


def test_a_client_is_let_in_by_its_key(jobctl: Jobctl) -> None:
    assert jobctl("cluster", "key", "put", "laptop", "1a" * 32).code == 0
    assert rows(jobctl("cluster", "key", "list").out)[1][::2] == ["laptop", "1a" * 32]
    assert jobctl("cluster", "key", "put", "laptop", "abc").code != 0
    assert jobctl("cluster", "key", "delete", "laptop").code == 0
    assert jobctl("cluster", "key", "list").out.count(b"\n") == 1
