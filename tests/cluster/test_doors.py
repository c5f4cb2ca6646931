"""Any node of a cluster answers every request, also while one of them is out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jobd.client import Client, Gap
from jobd.client.flow import mint_key
from tests.cluster.cluster import DEFAULTS, Cluster, ClusterNode, running
from tests.integration.node_process import Refused, until

_JOBS = 8


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    parent = tmp_path_factory.mktemp("doors")
    places = [parent / f"n{number}" for number in (1, 2, 3)]
    with running(places, environment=DEFAULTS) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def old_job(shared: Cluster) -> str:
    """A job of n2 that is soon old enough to be deleted at once: that takes ten seconds."""
    return run_at(shared, "n2", shell="echo gone")


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """Three nodes that are well, before the test and after it."""
    yield shared
    shared.recover()
    until(lambda: all(len(alive(node)) == 3 for node in shared.nodes))


def alive(node: ClusterNode) -> list[str]:
    members = node.call("GET", "/cluster")["members"]
    return [member["id"] for member in members if member["alive"] and member["state"] == "up"]


def id_of(node: ClusterNode) -> str:
    text: str = node.call("GET", "/status")["node"]
    return text


def headers_of(node: ClusterNode, path: str) -> Any:
    headers = {"Authorization": f"Bearer {node.token}"}
    request = urllib.request.Request(f"{node.url}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.headers
    except urllib.error.HTTPError as error:
        return error.headers


def run_at(cluster: Cluster, node: str, **spec: Any) -> str:
    """Run a job to its end at a node, submitted at another."""
    first = cluster.nodes[0]
    job_id = first.submit(placement={"node": node}, **spec)
    assert first.ended(job_id)["state"] == "succeeded"
    return job_id


def test_every_node_shows_them_all(cluster: Cluster, old_job: str) -> None:
    names = {node.name for node in cluster.nodes}
    for node in cluster.nodes:
        shown = until(lambda node=node: known_nodes(node))  # type: ignore[misc]
        assert {each["name"] for each in shown} == names
        assert {each["role"] for each in shown} == {"voter"}
        assert all(each["addresses"]["http"] for each in shown)
        view = node.call("GET", "/cluster")
        assert (view["mode"], view["quorums"]["voters"], view["reachable"]) == ("cluster", 3, True)
        status = node.call("GET", "/status")
        assert (status["role"], status["nodes_alive"]) == ("voter", 3)
        metrics = node.metrics()
        assert metrics["jobd_cluster_nodes"] == 3
        assert metrics["jobd_cluster_isolated_seconds"] == 0
    fast = sum(node.metrics()["jobd_consensus_fast_total"] for node in cluster.nodes)
    assert fast > 0
    leaders = {node.call("GET", "/cluster")["leader"] for node in cluster.nodes}
    assert len(leaders) == 1


def known_nodes(node: ClusterNode) -> Any:
    shown = node.call("GET", "/nodes")["items"]
    return shown if all(each["version"] and each["slots_total"] for each in shown) else None


def test_logs_and_artifacts_are_read_at_any_node(cluster: Cluster) -> None:
    text = "x" * 300_000
    shell = f"echo ran at $JOBD_NODE; printf '\"%s\"' {'y' * 10} >/dev/null; "
    shell += 'python3 -c \'print("\\"" + "x" * 300000 + "\\"")\' > $JOBD_OUTPUT'
    job_id = run_at(cluster, "n2", shell=shell)
    for node in cluster.nodes:
        (record,) = node.logs(job_id)
        assert record["text"] == "ran at n2\n"
        assert node.call("GET", f"/jobs/{job_id}/output") == text
        attempts = node.call("GET", f"/jobs/{job_id}/attempts")["items"]
        assert [each["node"] for each in attempts] == [id_of(cluster.nodes[1])]
    with Client(cluster.nodes[0].at["cluster"], token=cluster.token) as client:
        assert client.output(job_id) == text
        assert b"".join(line.data for line in client.logs(job_id)) == b"ran at n2\n"  # type: ignore[union-attr]


def test_a_log_is_followed_live_from_another_node(cluster: Cluster) -> None:
    shell = "for i in 1 2 3 4 5 6; do date +%s.%N; sleep 0.3; done"
    job_id = cluster.nodes[0].submit(placement={"node": "n3"}, shell=shell)
    until(lambda: cluster.nodes[0].job(job_id)["state"] == "running")
    late = []
    with Client(cluster.nodes[1].at["cluster"], token=cluster.token) as client:
        for line in client.logs(job_id, follow=True):
            late += [time.time() - float(text) for text in line.data.decode().split()]  # type: ignore[union-attr]
    assert len(late) == 6
    assert min(late) < 1.0  # it does not come all at the end


def test_actors_of_another_node(cluster: Cluster) -> None:
    other = id_of(cluster.nodes[2])
    rows = cluster.nodes[0].call("GET", f"/actors?node={other}&prefix=/slot&limit=500")["items"]
    assert rows
    row = cluster.nodes[0].call("GET", f"/actors/scheduler?node={other}")
    assert row["address"] == "/scheduler"
    with pytest.raises(Refused, match="404"):
        cluster.nodes[0].call("GET", f"/actors?node={mint_key()}")


def test_a_node_is_drained_by_any_other(cluster: Cluster) -> None:
    first, third = cluster.nodes[0], cluster.nodes[2]
    node = id_of(third)
    job_id = first.submit(shell="sleep 60", idempotent=True, placement={"node": "n3"})
    until(lambda: first.job(job_id)["state"] == "running")
    drained = cluster.nodes[1].call("POST", f"/nodes/{node}/drain", {"mode": "requeue"})
    assert drained["cordoned"]
    until(lambda: first.job(job_id)["state"] == "pending")
    shown = {each["id"]: each for each in third.call("GET", "/nodes")["items"]}
    assert shown[node]["drain"] == {"mode": "requeue", "deadline": None, "running": 0}
    assert not cluster.nodes[1].call("POST", f"/nodes/{node}/uncordon")["cordoned"]
    until(lambda: first.job(job_id)["state"] == "running")
    first.call("POST", f"/jobs/{job_id}/cancel", {})
    assert first.ended(job_id)["state"] == "cancelled"


def test_a_deleted_job_leaves_no_log_anywhere(cluster: Cluster, old_job: str) -> None:
    cluster.nodes[0].call("DELETE", f"/jobs/{old_job}")
    log = cluster.nodes[1].data / "joblogs"
    until(lambda: b"gone" not in b"".join(path.read_bytes() for path in log.rglob("*.seg")))


def test_a_node_that_is_cut_off_says_so_and_refuses_what_it_cannot_promise(
    cluster: Cluster,
) -> None:
    node, other = cluster.nodes[0], cluster.nodes[1]
    job_id = run_at(cluster, "n2", shell="echo here")
    cluster.cut_off(node)
    early, key = time.monotonic(), mint_key()
    spec = {"name": "j", "type": "command", "shell": "true"}
    with pytest.raises(Refused) as unknown:
        node.call("POST", "/jobs", spec, {"Idempotency-Key": key})
    took_s = time.monotonic() - early
    assert unknown.value.status == 503
    assert unknown.value.body["accepted"] == "unknown"
    assert unknown.value.body["idempotency_key"] == unknown.value.body["job_id"] == key
    assert took_s < 10, took_s
    again = other.call("POST", "/jobs", spec, {"Idempotency-Key": key})
    assert again["id"] == key

    with pytest.raises(Refused) as refused:
        node.call("POST", "/jobs", spec)
    assert refused.value.body["accepted"] is False
    assert refused.value.body["type"] == "urn:jobd:problem:no_quorum"
    with pytest.raises(Refused) as read:
        node.call("GET", "/jobs?consistency=linearizable")
    assert read.value.body["type"] == "urn:jobd:problem:no_quorum"
    assert int(headers_of(node, "/api/v1/jobs")["X-JobD-Stale"]) > 3_000
    assert node.job(job_id)["state"] == "succeeded"
    with pytest.raises(Refused, match="node_unreachable"):
        node.logs(job_id)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{node.url}/readyz", timeout=5)

    cluster.heal()
    until(lambda: headers_of(node, "/api/v1/jobs")["X-JobD-Stale"] is None)
    assert until(lambda: node.call("POST", "/jobs", spec, {"Idempotency-Key": key}))["id"] == key
    jobs = [each["id"] for each in other.call("GET", "/jobs?name=j&limit=500")["items"]]
    assert jobs.count(key) == 1
    assert len(jobs) == 1


def test_a_log_goes_on_once_its_node_is_reached_again(cluster: Cluster) -> None:
    shell = "for i in $(seq 40); do echo line $i; sleep 0.2; done"
    job_id = cluster.nodes[0].submit(placement={"node": "n3"}, shell=shell)
    until(lambda: cluster.nodes[0].logs(job_id))
    gaps, text = [], b""
    with Client(cluster.nodes[1].at["cluster"], token=cluster.token) as client:
        for item in client.logs(job_id, follow=True):
            if isinstance(item, Gap):
                gaps.append(item)
            elif not text:
                cluster.cut_off(cluster.nodes[2])
                threading.Timer(3, cluster.heal).start()
            text += b"" if isinstance(item, Gap) else item.data
    assert text.decode().splitlines() == [f"line {number}" for number in range(1, 41)]
    assert len(gaps) <= 1


def test_events_are_followed_at_a_node_that_goes_away(cluster: Cluster) -> None:
    first, second = cluster.nodes[0], cluster.nodes[1]
    with Client([first.at["cluster"], second.at["cluster"]], token=cluster.token) as client:
        events = client.events(
            "doors:*", after=second.call("POST", "/events", {"type": "doors:0"})["id"]
        )
        second.call("POST", "/events", {"type": "doors:1"})
        assert next(events).type == "doors:1"  # type: ignore[union-attr]
        first.kill()
        second.call("POST", "/events", {"type": "doors:2"})
        assert next(events).type == "doors:2"  # type: ignore[union-attr]
        events.close()


def test_a_job_that_is_created_while_its_node_is_killed_is_there_once(cluster: Cluster) -> None:
    """jobctl goes on at another node, one that it knows or was told of, with the same key."""
    node, other = cluster.nodes[2], cluster.nodes[0]

    def create(number: int) -> subprocess.CompletedProcess[str]:
        name = f"once-{number}"
        command = [sys.executable, "-m", "jobd.cli", "job", "create", name, "-t", "command", "true"]
        urls = node.url if number % 2 else f"{node.url},{other.url}"
        environment = {**os.environ, "JOBD_URL": urls, "JOBD_TOKEN": cluster.token}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    with ThreadPoolExecutor(_JOBS) as pool:
        running_ = [pool.submit(create, number) for number in range(_JOBS)]
        until(lambda: other.call("GET", "/jobs?q=once-")["items"])
        node.kill()
        done = [each.result() for each in running_]
    assert {d.returncode for d in done[::2]} == {0}, [d.stderr for d in done[::2]]
    # Who came to a dead node, and knew no other, is told so: nothing was sent.
    assert {d.returncode for d in done} <= {0, 69}, [d.stderr for d in done if d.returncode]
    made = [d.stdout.strip() for d in done if d.returncode == 0]
    there = [each["id"] for each in other.call("GET", "/jobs?q=once-&limit=500")["items"]]
    assert sorted(there) == sorted(made)


def test_the_log_of_a_dead_node_is_missed_by_name(cluster: Cluster) -> None:
    job_id = run_at(cluster, "n3", shell="echo lost")
    dead = id_of(cluster.nodes[2])
    cluster.nodes[2].kill()
    with pytest.raises(Refused, match=dead):
        cluster.nodes[0].logs(job_id)
    with Client(cluster.nodes[0].at["cluster"], token=cluster.token) as client:
        (gap,) = list(client.logs(job_id, follow=True))
        assert gap.what["node"] == dead  # type: ignore[union-attr]
    cluster.recover()
    assert until(lambda: texts(cluster.nodes[0], job_id)) == "lost\n"


def texts(node: ClusterNode, job_id: str) -> str:
    try:
        return "".join(record["text"] for record in node.logs(job_id))
    except Refused:
        return ""
