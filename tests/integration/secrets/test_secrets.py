"""Secrets on a real node: they reach their jobs, over kills too, and nothing that is kept."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node_process import NodeProcess, Refused, running, until

SECRET = "kD9/zq+Rw7 ünique"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running(tmp_path / "data", "--slots", "2") as started:
        yield started


def put(node: NodeProcess, name: str, value: str = SECRET, **headers: str) -> Any:
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    return node.call("PUT", f"/secrets/{name}", value.encode(), BYTES | named)


def with_secret(node: NodeProcess, shell: str, **spec: Any) -> str:
    return node.submit(shell=shell, environment={"TOKEN": {"secret": "db"}}, **spec)


def log_of(node: NodeProcess, job_id: str) -> str:
    return "".join(record["text"] for record in node.logs(job_id))


def forms(value: str) -> list[bytes]:
    raw = value.encode()
    return [raw, json.dumps(value)[1:-1].encode(), base64.b64encode(raw)[:-4], raw.hex().encode()]


def files_with_it(data: Path) -> list[Path]:
    """Every file of the data directory and beside it (the node's log) in which a form stands."""
    found = []
    for path in data.parent.rglob("*"):
        with suppress(FileNotFoundError):  # the spool of an attempt goes with it
            if path.is_file() and any(form in path.read_bytes() for form in forms(SECRET)):
                found.append(path)
    return found


def refused(call: Any, *args: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(Refused) as caught:
        call(*args, **kwargs)
    return caught.value.status, caught.value.body


def test_its_value_is_with_its_job_and_nowhere_else(node: NodeProcess, tmp_path: Path) -> None:
    put(node, "db")
    seen = tmp_path.parent / f"{tmp_path.name}.seen"  # outside of what is searched
    job_id = with_secret(
        node,
        f'printf %s "$TOKEN" > {seen}; echo "<$TOKEN>"; echo "$TOKEN" | base64 >&2; '
        f'python3 -c "import json,os;print(json.dumps(dict(os.environ)))"; exit 3',
        retry={"max_attempts": 2, "delay": "0s"},
        input={"a": 1},
    )
    running_id = with_secret(node, 'echo "$TOKEN"; sleep 60')
    try:
        assert node.ended(job_id)["state"] == "failed"
        assert seen.read_text() == SECRET
        until(lambda: node.logs(running_id))
        log = log_of(node, job_id)
        assert "<***>" in log
        assert '"TOKEN": "***"' in log
        answers = [
            node.call("GET", path)
            for path in (
                f"/jobs/{job_id}",
                f"/jobs/{job_id}/attempts",
                f"/jobs/{job_id}/events",
                f"/jobs/{job_id}/logs",
                f"/jobs/{job_id}/explain",
                "/jobs",
                "/events",
                "/secrets",
                "/audit",
                "/status",
                "/actors",
            )
        ]
        text = json.dumps(answers, ensure_ascii=False)
        assert SECRET not in text
        assert json.dumps(SECRET)[1:-1] not in json.dumps(answers)
        assert node.job(job_id)["spec"]["secrets"] == {"TOKEN": "db"}
        assert files_with_it(node.data) == []
        node.ended(node.submit(shell=f"echo '{SECRET}'"))
        assert files_with_it(node.data) != [], "a text that is nobody's secret is found"
    finally:
        seen.unlink(missing_ok=True)


def test_names_are_listed_and_values_are_not_readable(node: NodeProcess) -> None:
    first = put(node, "db")
    assert refused(put, node, "db", If_None_Match="*")[0] == 412
    assert refused(put, node, "db", If_Match='"1"')[0] == 412
    second = put(node, "db", "another", If_Match=f'"{first["revision"]}"')
    put(node, "api")
    listed = node.call("GET", "/secrets")["items"]
    assert [item["name"] for item in listed] == ["api", "db"]
    assert listed[1]["revision"] == second["revision"]
    assert set(listed[0]) == {"name", "revision", "updated_at"}
    assert refused(node.call, "GET", "/secrets/db")[0] == 405
    node.call("DELETE", "/secrets/db")
    assert refused(node.call, "DELETE", "/secrets/db")[0] == 404


@pytest.mark.parametrize(
    ("value", "status"), [(b"", 400), (b"a\0b", 400), (b"\xff", 400), (b"x" * 16385, 413)]
)
def test_what_no_variable_can_hold_is_refused(node: NodeProcess, value: bytes, status: int) -> None:
    assert refused(node.call, "PUT", "/secrets/db", value, BYTES)[0] == status
    assert node.call("GET", "/secrets")["items"] == []


def test_a_spec_with_an_unknown_secret_is_refused_with_its_place(node: NodeProcess) -> None:
    status, body = refused(with_secret, node, "true")
    assert status == 422
    assert body["errors"][0]["path"] == "$.environment.TOKEN"
    assert "no secret db" in body["errors"][0]["message"]


def test_a_secret_deleted_before_the_start_fails_the_attempt(node: NodeProcess) -> None:
    put(node, "db")
    job_id = with_secret(node, "touch /tmp/never; true", trigger={"delay": "700ms"})
    node.call("DELETE", "/secrets/db")
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "spawn")
    assert "no secret db" in job["detail"]


def test_a_retry_finds_a_secret_that_was_put_meanwhile(node: NodeProcess) -> None:
    put(node, "db")
    job_id = with_secret(
        node,
        'echo "$TOKEN"',
        trigger={"delay": "300ms"},
        retry={"max_attempts": 20, "delay": "200ms", "backoff": "constant", "jitter": "none"},
    )
    node.call("DELETE", "/secrets/db")
    until(lambda: node.job(job_id)["attempt"] > 1)
    put(node, "db")
    assert node.ended(job_id)["state"] == "succeeded"
    assert log_of(node, job_id) == "***\n"


def test_a_killed_node_opens_the_secrets_of_what_waits_and_masks_what_runs(
    node: NodeProcess,
) -> None:
    put(node, "db")
    runs = with_secret(node, 'while [ ! -e go ]; do echo "$TOKEN"; sleep 0.1; done; echo "$TOKEN"')
    waits = with_secret(node, 'echo "$TOKEN"; test -n "$TOKEN"', trigger={"delay": "1500ms"})
    until(lambda: node.logs(runs))
    node.kill()
    node.start()
    assert node.ended(waits)["state"] == "succeeded"
    assert log_of(node, waits) == "***\n"
    node.call("POST", f"/jobs/{runs}/cancel")
    assert node.ended(runs)["state"] == "cancelled"
    assert set(log_of(node, runs).split()) == {"***"}
    assert files_with_it(node.data) == []


def test_a_killed_supervisor_leaves_nothing_of_a_secret(node: NodeProcess) -> None:
    put(node, "db")
    job_id = with_secret(node, 'printf "$TOKEN"; echo "$TOKEN" > /dev/null; sleep 60')
    until(lambda: node.job(job_id)["state"] == "running")
    supervisor = node.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, 9)
    assert node.ended(job_id)["reason"] == "node_lost"
    again = with_secret(node, 'echo "$TOKEN"')
    assert node.ended(again)["state"] == "succeeded"
    assert files_with_it(node.data) == []


def test_without_its_key_a_node_says_so_and_runs_the_rest(node: NodeProcess) -> None:
    put(node, "db")
    node.stop()
    key = node.data / "keys" / "node.x25519"
    kept = key.read_bytes()
    key.unlink()
    node.start()
    until(lambda: "jobs with secrets will fail" in node.log())
    status, body = refused(put, node, "other")
    assert (status, body["type"]) == (500, "urn:jobd:problem:sealing_key_lost")
    assert "restore" in body["remedy"]
    job = node.ended(with_secret(node, "true"))
    assert (job["reason"], "key is missing" in job["detail"]) == ("spawn", True)
    assert node.ended(node.submit(cmd="true"))["state"] == "succeeded"
    node.stop()
    key.write_bytes(kept)
    node.start()
    assert node.ended(with_secret(node, 'test "$TOKEN"'))["state"] == "succeeded"
