"""The life of a cluster of real nodes: formed, restarted, joined, wiped, and gone on alone."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actors import limits
from tests.integration.cluster.three import SLOW_S, Three, offline, put, read, three
from tests.integration.node_process import NodeProcess, Refused, until

CONFLICT = 70
pytestmark = pytest.mark.timeout(400)


def everywhere(cluster: Three, numbers: tuple[int, ...], key: str, value: str) -> None:
    for n in numbers:
        until(lambda n=n: read(cluster.nodes[n], key) == value, SLOW_S)  # type: ignore[misc]


def write(node: NodeProcess, size: int) -> None:
    """Write about this much, always over the same keys."""
    value, threads = b'"' + b"v" * 60_000 + b'"', 16
    with ThreadPoolExecutor(threads) as pool:
        numbers = range(size // len(value))
        list(pool.map(lambda n: put(node, f"much{n % threads}", value), numbers))


def arrived(node: NodeProcess) -> bool:
    """Say whether a node has begun to go on from a snapshot."""
    return "goes on from a snapshot" in node.log()


def submitted(node: NodeProcess) -> Any:
    """Return the jobs whose submission is in the history of a node."""
    sql = "select data->>'job' from events where type = 'jobd:job:submitted'"
    return node.call("POST", "/query", {"sql": sql})["rows"]


def opens(door: NodeProcess, at: str) -> bool:
    """Say whether a job at a node finds the secret in its environment."""
    job_id = door.submit(
        shell='test "$DB" = swordfish',
        environment={"DB": {"secret": "db"}},
        placement={"node": at},
    )
    return bool(door.ended(job_id)["state"] == "succeeded")


def test_a_cluster_forms_restarts_grows_and_replaces_a_wiped_node(tmp_path: Path) -> None:
    with three(tmp_path) as cluster:
        nodes = cluster.nodes
        ids = {n: cluster.id_of(n) for n in (1, 2, 3)}
        views = [nodes[n].call("GET", "/cluster") for n in (1, 2, 3)]
        assert len({view["cluster"] for view in views}) == 1
        assert [view["epoch"] for view in views] == [1, 1, 1]
        assert {m["id"] for m in views[0]["members"]} == set(ids.values())

        # what any node takes, all have, also after all were killed
        for n in (1, 2, 3):
            put(nodes[n], f"by{n}", b'"one"')
        everywhere(cluster, (1, 2, 3), "by2", "one")
        for n in (1, 2, 3):
            nodes[n].kill()
        cluster.launch(1, 2, 3)
        for n in (1, 2, 3):
            everywhere(cluster, (1, 2, 3), f"by{n}", "one")
        assert {n: cluster.id_of(n) for n in (1, 2, 3)} == ids

        job_id = nodes[1].submit(cmd="true")
        assert nodes[1].ended(job_id)["state"] == "succeeded"
        until(lambda: submitted(nodes[1]) == [[job_id]], SLOW_S)

        raw = {"Content-Type": "application/octet-stream"}
        nodes[1].call("PUT", "/secrets/db", b"swordfish", raw)

        # one more joins by a token, follows, and gets a vote
        fourth = cluster.join(4)
        everywhere(cluster, (4,), "by1", "one")
        view = fourth.call("GET", "/cluster")
        assert view["consensus"]["role"] == "learner"
        put(fourth, "by4", b'"four"')
        everywhere(cluster, (1, 2, 3, 4), "by4", "four")
        until(lambda: submitted(fourth) == [[job_id]], SLOW_S)  # from before it was there
        until(lambda: opens(nodes[2], "n4"), SLOW_S)  # once its key has been wrapped for
        ids[4] = cluster.id_of(4)
        added = nodes[2].call("POST", "/cluster/members", {"node": ids[4]})
        assert added["epoch"] == 2
        until(lambda: fourth.call("GET", "/cluster")["consensus"]["role"] == "voter", SLOW_S)
        put(fourth, "by4", b'"voter"')
        everywhere(cluster, (1, 2, 3, 4), "by4", "voter")

        # a node that lost its disk has another id: it may not form, and joins as a new one
        nodes[3].end()
        shutil.rmtree(nodes[3].data)
        wiped = cluster.make(3)
        wiped.launch()
        assert wiped.exit_code() == CONFLICT
        assert "--join" in wiped.log().splitlines()[-1]
        shutil.rmtree(wiped.data)
        cluster.join(3, role="worker")
        assert cluster.id_of(3) != ids[3]
        everywhere(cluster, (3,), "by4", "voter")
        put(nodes[3], "by3", b'"again"')
        everywhere(cluster, (1, 2, 4), "by3", "again")
        with pytest.raises(Refused, match="is a worker"):
            nodes[1].call("POST", "/cluster/members", {"node": cluster.id_of(3)})
        nodes[1].call("DELETE", f"/cluster/members/{ids[3]}")
        until(lambda: nodes[2].call("GET", "/cluster")["epoch"] == 3, SLOW_S)


def test_a_node_that_lags_too_far_goes_on_from_a_snapshot_in_place(tmp_path: Path) -> None:
    with three(tmp_path) as cluster:
        nodes = cluster.nodes
        put(nodes[3], "before", b'"1"')
        everywhere(cluster, (1, 2), "before", "1")
        nodes[3].kill()
        put(nodes[1], "missed", b'"2"')
        write(nodes[1], limits.RETAINED_BYTES * 5 // 4)  # more than is kept for it as commands
        put(nodes[2], "later", b'"3"')
        for tenths in (0, 3, 6, 7, 8):  # killed somewhere on its way to the new image
            asked = nodes[3].log().count("it asks")
            nodes[3].launch()
            until(lambda: nodes[3].log().count("it asks") > asked or arrived(nodes[3]), SLOW_S)  # noqa: B023
            time.sleep(tenths / 10)
            nodes[3].kill()
            if arrived(nodes[3]):
                break
        cluster.launch(3)
        everywhere(cluster, (3,), "missed", "2")
        everywhere(cluster, (3,), "later", "3")
        assert arrived(nodes[3])
        put(nodes[3], "after", b'"4"')
        everywhere(cluster, (1, 2, 3), "after", "4")


def test_a_node_with_data_joins_nothing(tmp_path: Path) -> None:
    cluster = Three(tmp_path)
    alone = cluster.make(5, forms=False)
    try:
        alone.start()
        alone.stop()
        alone._args = (*alone._args, "--join", "127.0.0.1:1")
        alone.launch()
        assert alone.exit_code() == CONFLICT
        assert "data of its own" in alone.log()
    finally:
        alone.end()


def test_what_is_left_of_a_lost_quorum_goes_on_alone(tmp_path: Path) -> None:
    with three(tmp_path) as cluster:
        nodes = cluster.nodes
        put(nodes[1], "kept", b'"1"')
        everywhere(cluster, (1, 2, 3), "kept", "1")
        before = nodes[1].call("GET", "/cluster")
        jobctl = ("--data", str(nodes[1].data), "backup", "create", str(tmp_path / "backups"))
        assert offline(*jobctl, program="jobd.cli").returncode == 0
        nodes[2].end()
        nodes[3].end()
        in_use = offline("force-epoch", "--data", str(nodes[1].data), "--new-cluster-id", "--yes")
        assert in_use.returncode == 73, in_use
        nodes[1].stop()
        done = offline("force-epoch", "--data", str(nodes[1].data), "--new-cluster-id", "--yes")
        assert done.returncode == 0, done
        assert "2 other voters are left" in done.stdout
        cluster.launch(1)
        after = nodes[1].call("GET", "/cluster")
        assert after["mode"] == "solo" and after["cluster"] != before["cluster"]
        assert after["epoch"] == before["epoch"] + 1
        assert after["revision"] > 1 << 32
        assert read(nodes[1], "kept") == "1"
        found = nodes[1].call("GET", "/nodes")["items"]
        assert sorted(node["state"] for node in found) == ["lost", "lost", "up"]
        put(nodes[1], "more", b'"2"')
        told = nodes[1].call("GET", "/events?types=jobd:cluster:forced")["items"]
        assert [event["data"]["cluster"] for event in told] == [before["cluster"]]

        # who was left can't come back
        nodes[2].launch()
        until(nodes[2]._found, SLOW_S)
        with pytest.raises(Refused) as refused:
            nodes[2].call("PUT", "/kv/test/kept", b'"3"')
        assert refused.value.status == 503
        until(lambda: "is of the cluster" in nodes[2].log(), SLOW_S)  # it says why
        assert nodes[2].call("GET", "/cluster")["cluster"] == before["cluster"]
        assert read(nodes[1], "kept") == "1"

        # a backup of before begins a third cluster, of one node that nobody else is told of
        restored = cluster.make(5, forms=False)
        (backup,) = (tmp_path / "backups").iterdir()
        jobctl = ("--data", str(restored.data), "backup", "restore", str(backup))
        assert offline(*jobctl, program="jobd.cli").returncode == 0
        cluster.launch(5)
        assert read(restored, "kept") == "1"
        alone = restored.call("GET", "/cluster")
        assert alone["mode"] == "solo"
        assert alone["cluster"] not in (before["cluster"], after["cluster"])
        assert [m["id"] for m in alone["members"]] == [cluster.id_of(5)]
