"""How jobs end, and what goes in and comes out of them."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

import pytest

from actors import limits
from actors.model.trace import is_traceparent
from tests.integration.node_process import NodeProcess, Refused, until

ANSWER = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def end_of(job: dict[str, Any]) -> tuple[Any, ...]:
    return job["state"], job["reason"], job["exit_code"], job["signal"]


def get_bytes(node: NodeProcess, path: str) -> bytes:
    request = urllib.request.Request(
        f"{node.url}/api/v1{path}", headers={"Authorization": f"Bearer {node.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        body: bytes = response.read()
    return body


def test_a_job_that_succeeds(node: NodeProcess) -> None:
    job_id = node.submit(cmd="/bin/echo", args=["a  b", "$HOME"], labels={"team": "data"})
    job = node.ended(job_id)
    assert end_of(job) == ("succeeded", "exit", 0, None)
    assert (job["attempt"], job["labels"]) == (1, {"team": "data"})
    assert job["submitted_at"] <= job["started_at"] <= job["finished_at"]
    assert [r["text"] for r in node.logs(job_id)] == ["a  b $HOME\n"]
    (attempt,) = node.call("GET", f"/jobs/{job_id}/attempts")["items"]
    assert (attempt["outcome"], attempt["exit_code"]) == ("succeeded", 0)
    types = [event["type"] for event in node.call("GET", f"/jobs/{job_id}/events")["items"]]
    assert types == ["jobd:job:submitted", "jobd:job:started", "jobd:job:completed"]


def test_what_a_job_used(node: NodeProcess) -> None:
    script = "x = b'x' * 2**27; y = sum(range(3_000_000))"
    job_id = node.submit(cmd="python3", args=["-c", script])
    node.ended(job_id)
    (attempt,) = node.call("GET", f"/jobs/{job_id}/attempts")["items"]
    assert 2**27 < attempt["max_rss_bytes"] < 2**29
    assert 10 < attempt["cpu_ms"] < 10_000


def test_jobs_that_fail(node: NodeProcess) -> None:
    coded = node.submit(shell="echo no >&2; exit 7")
    killed = node.submit(shell="kill -SEGV $$")
    assert end_of(node.ended(coded)) == ("failed", "exit", 7, None)
    assert end_of(node.ended(killed)) == ("failed", "signal", None, 11)
    assert [(r["stream"], r["text"]) for r in node.logs(coded)] == [("stderr", "no\n")]


def test_the_output_is_the_last_line(node: NodeProcess) -> None:
    job_id = node.submit(
        shell='printf \'log\\n{"answer": 1}\\n{"answer": 42}\\n\\n\' >$JOBD_OUTPUT',
        output_schema=ANSWER,
    )
    assert node.ended(job_id)["state"] == "succeeded"
    assert node.call("GET", f"/jobs/{job_id}/output") == {"answer": 42}
    silent = node.submit(cmd="true")
    node.ended(silent)
    with pytest.raises(Refused, match="has no output") as caught:
        node.call("GET", f"/jobs/{silent}/output")
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("script", "reason", "detail"),
    [
        ("echo '{answer: 1}' >$JOBD_OUTPUT", "output", "the output's last line is no JSON"),
        (
            """echo '{"answer": "x"}' >$JOBD_OUTPUT""",
            "output_schema",
            "$.answer: 'x' is not of type 'integer'",
        ),
        ("true", "output_schema", "nothing was written to $JOBD_OUTPUT"),
        ("ln -s /etc/passwd $JOBD_OUTPUT", "output", "$JOBD_OUTPUT can't be used"),
        ("mkdir $JOBD_OUTPUT", "output", "it is not a regular file"),
        ("mkfifo $JOBD_OUTPUT", "output", "it is not a regular file"),
    ],
)
def test_an_output_that_was_not_promised(
    node: NodeProcess, script: str, reason: str, detail: str
) -> None:
    again = {"max_attempts": 2, "delay_ms": 0} if reason == "output_schema" else {}
    job = node.ended(node.submit(shell=script, output_schema=ANSWER, retry=again))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", reason, 0)
    assert detail in job["detail"]
    assert job["attempt"] == 1  # a schema mismatch isn't tried again


def test_a_large_output_becomes_an_artifact(node: NodeProcess) -> None:
    count = 2 * limits.INLINE_OUTPUT_BYTES
    script = f"printf '\"' >$JOBD_OUTPUT; head -c {count} /dev/zero | tr '\\0' x >>$JOBD_OUTPUT;"
    job_id = node.submit(shell=script + "echo '\"' >>$JOBD_OUTPUT", output_schema={"minLength": 9})
    assert end_of(node.ended(job_id)) == ("succeeded", "exit", 0, None)
    expected = b'"' + b"x" * count + b'"'
    (artifact,) = node.call("GET", f"/jobs/{job_id}/artifacts")["items"]
    assert artifact == {
        "name": "output",
        "task": 0,
        "size_bytes": len(expected),
        "digest": hashlib.sha256(expected).hexdigest(),
    }
    assert get_bytes(node, f"/jobs/{job_id}/artifacts/output") == expected
    assert node.call("GET", f"/jobs/{job_id}/output") == "x" * count
    for name in ("other", "..%2foutput"):
        with pytest.raises(Refused, match="has no artifact") as caught:
            node.call("GET", f"/jobs/{job_id}/artifacts/{name}")
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("quote", "schema", "reason", "detail"),
    [
        ("[", {}, "output", "the output's last line is no JSON"),
        ('"', {"type": "object"}, "output_schema", "is not of type 'object'"),
    ],
)
def test_a_large_output_is_held_to_the_same(
    node: NodeProcess, quote: str, schema: dict[str, Any], reason: str, detail: str
) -> None:
    script = f"(printf '{quote}'; head -c 99999 /dev/zero | tr '\\0' x; printf '{quote}')"
    job_id = node.submit(shell=f"{script} >$JOBD_OUTPUT", output_schema=schema)
    job = node.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", reason)
    assert detail in job["detail"]
    assert len(job["detail"]) < 2_000
    assert node.call("GET", f"/jobs/{job_id}/artifacts")["items"] == []


def test_the_input_comes_by_file_and_by_stdin(node: NodeProcess) -> None:
    given = {"user": "zoë", "n": [1, 2.5, None, True]}
    script = 'cp "$JOBD_INPUT" $JOBD_OUTPUT; cat >&2; stat -c %a "$JOBD_INPUT"'
    job_id = node.submit(shell=script, input=given, stdin="input")
    node.ended(job_id)
    assert node.call("GET", f"/jobs/{job_id}/output") == given
    (stdin,) = [r["text"] for r in node.logs(job_id, stream="stderr")]
    assert json.loads(stdin) == given
    null = node.submit(shell="cat; echo ${JOBD_INPUT-none}")
    node.ended(null)
    assert [r["text"] for r in node.logs(null)] == ["none\n"]


def test_the_environment_is_exactly_the_documented_one(node: NodeProcess) -> None:
    job_id = node.submit(
        name="env-job",
        cmd="/usr/bin/env",
        args=["-0"],
        environment={"A": "1 2", "VERSION": 1.5, "ON": True, "JOBD_JOB_ID": "mine"},
        input=1,
    )
    node.ended(job_id)
    text = "".join(r["text"] for r in node.logs(job_id))
    found = dict(line.split("=", 1) for line in text.rstrip("\0").split("\0"))
    job = node.job(job_id)
    fence = int(found.pop("JOBD_FENCE"))
    assert is_traceparent(found.pop("TRACEPARENT"))
    assert 0 < fence < job["revision"]
    for name in ("PATH", "HOME", "LANG", "TZ"):
        found.pop(name, None)
    spool = f"{node.data}/spool/{job_id}.00000.0001"
    assert found == {
        "A": "1 2",
        "VERSION": "1.5",
        "ON": "true",
        "JOBD_JOB_ID": job_id,
        "JOBD_ATTEMPT": "1",
        "JOBD_ATTEMPT_KEY": f"attempt/{job_id}/00000/0001",
        "JOBD_NODE": node.call("GET", "/status")["name"],
        "JOBD_INPUT": f"{spool}/input.json",
        "JOBD_OUTPUT": f"{spool}/output",
        "JOBD_TASK_INDEX": "0",
        "JOBD_TASK_COUNT": "1",
        "CLOUD_RUN_JOB": "env-job",
        "CLOUD_RUN_EXECUTION": job_id,
        "CLOUD_RUN_TASK_INDEX": "0",
        "CLOUD_RUN_TASK_COUNT": "1",
        "CLOUD_RUN_TASK_ATTEMPT": "0",
    }


def test_place_umask_limits_and_signal(node: NodeProcess) -> None:
    job_id = node.submit(
        shell="pwd; umask; ulimit -n; ulimit -f; ulimit -c",
        cwd="/usr",
        umask="027",
        limits={"nofile": 99, "fsize": "1MiB"},
    )
    node.ended(job_id)
    text = "".join(r["text"] for r in node.logs(job_id)).split()
    assert text == ["/usr", "0027", "99", "2048", "0"]
    alone = [node.submit(shell="pwd; touch here; ls") for _ in range(2)]
    for job_id in alone:
        node.ended(job_id)
        place, *listed = "".join(r["text"] for r in node.logs(job_id)).split()
        assert job_id in place
        assert listed == ["here"]


def test_what_a_deleted_job_leaves(node: NodeProcess) -> None:
    """Nothing of its own, and everything of another, be their outputs the same to the byte.

    Ids are accepted once, ever: a record goes when the ten seconds of its id are over.
    """
    script = (
        "echo text; (printf '\"'; head -c 60000 /dev/zero | tr '\\0' y; echo '\"') >$JOBD_OUTPUT"
    )
    gone, kept = node.submit(shell=script), node.submit(shell=f"{script}; sleep 0.1")
    failed = node.submit(shell=f"{script}; exit 1")
    with pytest.raises(Refused, match="has not ended") as caught:
        node.call("DELETE", f"/jobs/{kept}")
    assert caught.value.status == 409
    for job_id in (gone, kept, failed):
        node.ended(job_id)
    node.call("DELETE", f"/jobs/{gone}")
    for path in ("", "/logs", "/output", "/artifacts/output", "/explain", "/attempts", "/events"):
        with pytest.raises(Refused) as caught:
            node.call("GET", f"/jobs/{gone}{path}")
        assert caught.value.status == 404
    left = (node.data / "spool", node.data / "artifacts")
    until(lambda: not [f for place in left for f in place.glob(f"{gone}*")])
    assert get_bytes(node, f"/jobs/{kept}/artifacts/output") == b'"' + b"y" * 60_000 + b'"'
    assert failed not in {folder.name for folder in (node.data / "artifacts").iterdir()}
