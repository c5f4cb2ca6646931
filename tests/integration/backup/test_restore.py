"""A restored node has all that was backed up, and issues nothing that the old one may have."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import duckdb
import pytest

from actors.core.restore import LEAP
from tests.integration.backup.conftest import Source, backup, fill, lag_of, made
from tests.integration.node_process import NodeProcess, Refused, running, until


def revision_of(event_id: str) -> int:
    return int(event_id.partition("-")[0])


def restored(source: Path, data: Path) -> Path:
    done = backup(data, "restore", source)
    assert done.returncode == 0, done.stderr
    return data


def large_output(node: NodeProcess, job_id: str) -> bytes:
    request = urllib.request.Request(
        f"{node.url}/api/v1/jobs/{job_id}/artifacts/output",
        headers={"Authorization": f"Bearer {node.token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        body: bytes = response.read()
    return body


def test_everything_is_there(source: Source, tmp_path: Path) -> None:
    old, jobs = source.node, source.jobs
    with running(restored(source.path, tmp_path / "data")) as node:
        for name in ("logged", "small", "large", "fan-out", "later"):
            before, after = old.job(jobs[name]), node.job(jobs[name])
            assert before == after, name
        assert node.logs(jobs["logged"]) == old.logs(jobs["logged"])
        assert node.call("GET", f"/jobs/{jobs['small']}/output") == {"a": 1}
        assert large_output(node, jobs["large"]) == large_output(old, jobs["large"])
        assert [r["text"] for r in node.logs(jobs["fan-out"], task=2)] == ["2\n"]
        request = urllib.request.Request(
            f"{node.url}/api/v1/kv/a/b", headers={"Authorization": f"Bearer {source.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == b"xyz"
        told = node.call("GET", "/events?limit=500")["items"]
        assert told[: len(source.events)] == source.events
        assert node.token != old.token, "each node has an admin token of its own"


def test_secrets_open_on_the_restored_node(source: Source, tmp_path: Path) -> None:
    with running(restored(source.path, tmp_path / "data")) as node:
        told = {"environment": {"PASSWORD": {"secret": "db"}}}
        job = node.ended(node.submit(shell='test "$PASSWORD" = swordfish', **told))
        assert (job["state"], job["detail"]) == ("succeeded", "")


def test_the_audit_trail_goes_on_behind_the_old_one(source: Source, tmp_path: Path) -> None:
    with running(restored(source.path, tmp_path / "data")) as node:
        node.call("PUT", "/kv/a/c", b"new", {"Content-Type": "application/octet-stream"})
        operations = [item["operation"] for item in node.call("GET", "/audit?limit=500")["items"]]
        assert operations[0] == "put_value", "the newest first"
        assert "put_secret" in operations[1:], "what the old node was told"
        assert node.call("GET", "/audit/verify")["whole"]


def test_history_has_every_end_once_from_both_lives(source: Source, tmp_path: Path) -> None:
    data = restored(source.path, tmp_path / "data")
    names = ("logged", "small", "large", "fan-out", "running", "again")
    with running(data) as node:
        new = node.submit(cmd="true")
        for job_id in (source.jobs["running"], source.jobs["again"], new):
            node.ended(job_id)
        until(lambda: lag_of(node) == 0)
        node.stop()
    with duckdb.connect(str(data / "history" / "jobd.duckdb"), read_only=True) as history:
        found = history.execute("select id, count(*) from jobs group by id").fetchall()
        (events,) = history.execute(
            "select count(*) - count(distinct (revision, k)) from events"
        ).fetchall()
    assert dict(found) == {source.jobs[name]: 1 for name in names} | {new: 1}
    assert events == (0,)


def test_what_ran_is_lost_by_the_rule_of_its_job(source: Source, tmp_path: Path) -> None:
    jobs = source.jobs
    with running(restored(source.path, tmp_path / "data")) as node:
        job = node.ended(jobs["running"])
        assert (job["state"], job["reason"]) == ("failed", "node_lost")
        again = node.ended(jobs["again"])
        assert (again["state"], again["attempt"]) == ("succeeded", 2)
        (old_fence,) = source.node.logs(jobs["again"])
        (new_fence,) = node.logs(jobs["again"], attempt=2)
        assert int(new_fence["text"]) > int(old_fence["text"]) + LEAP - 1000


def test_nothing_is_issued_twice(source: Source, tmp_path: Path) -> None:
    old = source.node
    before = old.call("GET", "/status")["revision"]
    for _ in range(20):  # what the old node does after the backup
        old.ended(old.submit(cmd="true"))
    with running(restored(source.path, tmp_path / "data")) as node:
        node.ended(node.submit(cmd="true"))
        new = node.call("GET", "/events?limit=500")["items"][len(source.events) :]
        assert new[0]["type"] == "jobd:node:lost"
        assert any(event["type"] == "jobd:cluster:restored" for event in new)
        assert revision_of(new[0]["id"]) > old.call("GET", "/status")["revision"]
        assert revision_of(new[0]["id"]) > before + LEAP - 1000
        with pytest.raises(Refused) as caught:  # the ETag that the old node gave after the backup
            old.call("PUT", "/kv/a/b", b"newer", {"Content-Type": "application/octet-stream"})
            later = old.call("GET", "/status")["revision"]
            node.call(
                "PUT",
                "/kv/a/b",
                b"newest",
                {"Content-Type": "application/octet-stream", "If-Match": f'"{later}"'},
            )
        assert caught.value.status == 412
        identity = json.loads((node.data / "node.json").read_text())
        assert identity["cluster"] != json.loads((old.data / "node.json").read_text())["cluster"]
        node.kill()
        node.start()
        node.ended(node.submit(cmd="true"))


def test_a_backup_of_a_restored_node(source: Source, tmp_path: Path) -> None:
    with running(restored(source.path, tmp_path / "first")) as node:
        node.ended(node.submit(cmd="true"))
        again = made(node.data, tmp_path)
    with running(restored(again, tmp_path / "second")) as node:
        assert node.call("GET", "/status")["revision"] > 2 * LEAP
        node.ended(node.submit(cmd="true"))


@pytest.mark.parametrize("engine", ["sqlite", "rocksdb"])
def test_a_node_that_was_killed(tmp_path: Path, engine: str) -> None:
    """What only the log has, the backup of a stopped node has too."""
    config = tmp_path / "jobd.yaml"
    config.write_text(f"storage: {{engine: {engine}}}\n")
    args = ("--config", str(config), "--slots", "4")
    with running(tmp_path / "data", *args) as node:
        jobs = fill(node)
        last = node.submit(cmd="sleep", args=["60"])
        node.kill()
        path = made(tmp_path / "data", tmp_path / "backups")
    assert not (tmp_path / "data" / "backups").exists() or not any(
        (tmp_path / "data" / "backups").iterdir()
    )
    assert backup(tmp_path, "verify", path).returncode == 0
    with running(restored(path, tmp_path / "new"), *args) as node:
        assert node.job(last)["name"] == "test"
        assert node.job(jobs["small"])["state"] == "succeeded"
        until(lambda: node.job(jobs["running"])["state"] == "failed")
