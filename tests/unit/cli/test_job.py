"""jobctl job and run, against the facade over the real store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.core.job import Ending
from actors.core.log_record import STDERR
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade


def newest(served: Facade) -> str:
    job_id = served.api("GET", "/jobs?limit=1").json["items"][0]["id"]
    assert isinstance(job_id, str)
    return job_id


def spec_of(served: Facade, job_id: str) -> dict[str, Any]:
    spec = served.api("GET", f"/jobs/{job_id}").json["spec"]
    assert isinstance(spec, dict)
    return spec


@contextmanager
def worker(served: Facade, work: Callable[[str], None]) -> Iterator[None]:
    """Play the node for the next job that comes."""

    def play() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pending = served.api("GET", "/jobs?state=pending").json["items"]
            if pending:
                work(pending[0]["id"])
                return
            time.sleep(0.01)

    thread = threading.Thread(target=play)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["echo 'Hello, World!'"], ["/bin/sh", "-c", "echo 'Hello, World!'"]),
        (["--", "echo 'Hello'"], ["echo 'Hello'"]),
        (["--", "grep", "-r", "a b", "/srv"], ["grep", "-r", "a b", "/srv"]),
        (["true"], ["true"]),
        (["ls", "/srv"], ["ls", "/srv"]),
    ],
)
def test_one_string_is_a_shell_line_and_words_are_argv(
    served: Facade, jobctl: Jobctl, words: list[str], argv: list[str]
) -> None:
    ran = jobctl("job", "create", "my-job", "-t", "command", *words)
    assert ran.code == 0, ran.err
    assert spec_of(served, ran.out.decode().strip())["argv"] == argv


def test_flags_make_the_spec(served: Facade, jobctl: Jobctl) -> None:
    flags = (
        "--env A=1 --env B=x=y --label team=data --cpu 0.5 --memory 512MiB "
        "--timeout 5m --retry 3 --priority 70 --delay 1h --node n1 --cwd /srv --user nobody "
        "--tasks 4 --parallelism 2"
    )
    ran = jobctl("job", "create", "j", *flags.split(), "--input", '{"a":[1]}', "--", "true")
    assert ran.code == 0, ran.err
    spec = spec_of(served, ran.out.decode().strip())
    assert spec["environment"] == {"A": "1", "B": "x=y"}
    assert (spec["labels"], spec["priority"]) == ({"team": "data"}, 70)
    assert spec["resources"] == {"cpu_milli": 500, "memory_bytes": 512 * 2**20}
    assert (spec["timeout_ms"], spec["retry"]["max_attempts"]) == (300_000, 4)
    assert (spec["trigger"], spec["placement"]) == ({"delay_ms": 3_600_000}, {"node": "n1"})
    assert (spec["cwd"], spec["user"], spec["input"]) == ("/srv", "nobody", {"a": [1]})
    assert (spec["tasks"], spec["parallelism"]) == (4, 2)


def test_container_and_js_are_accepted(served: Facade, jobctl: Jobctl, tmp_path: Path) -> None:
    assert jobctl("job", "create", "c", "-t", "container", "alpine:latest").code == 0
    assert spec_of(served, newest(served))["backend"]["image"] == "alpine:latest"
    module = tmp_path / "m.js"
    module.write_text("export function run(ctx) {}")
    assert jobctl("job", "create", "j", "-t", "js", "--module", str(module)).code == 0
    assert "run(ctx)" in spec_of(served, newest(served))["backend"]["code"]
    assert jobctl("job", "create", "j", "-t", "js", "x").code == 64


def test_spec_file_and_all_its_problems(served: Facade, jobctl: Jobctl, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: from-file\ntype: command\ncmd: 'true'\n")
    ran = jobctl("job", "create", "-f", str(file), "-o", "name")
    assert ran.out == f"job/{newest(served)}\n".encode()
    assert jobctl("job", "create", "-f", str(file), "--priority", "3").code == 64
    assert jobctl("job", "create", "-f", str(tmp_path / "none")).code == 64
    file.write_text("name: from-file\ntype: command\ncmd: 'true'\nvolums: []\npriority: 900\n")
    ran = jobctl("job", "create", "-f", str(file))
    assert ran.code == 78
    assert f"{file}:4:1: $.volums" in ran.err
    assert f"{file}:5:" in ran.err


def test_problems_of_flags_have_no_places(jobctl: Jobctl) -> None:
    ran = jobctl("job", "create", "j", "--priority", "900", "--", "true")
    assert ran.code == 78
    assert ran.err.startswith("$.priority: ")
    assert "nothing was submitted" in ran.err


def test_idempotency_key_makes_one_job(served: Facade, jobctl: Jobctl) -> None:
    args = ("job", "create", "j", "--idempotency-key", "k", "--", "true")
    assert jobctl(*args).out == jobctl(*args).out
    other = jobctl("job", "create", "other", "--idempotency-key", "k", "--", "true")
    assert other.code == 76


def test_run_copies_output_and_takes_the_jobs_code(served: Facade, jobctl: Jobctl) -> None:
    def work(job_id: str) -> None:
        served.do(served.gateway.run, job_id, code=3, out=b"\xff out\n", err=b"err\n")

    with worker(served, work):
        ran = jobctl("run", "--label", "a=b", "--", "/usr/bin/My Prog", "-x")
    assert (ran.code, ran.out) == (3, b"\xff out\n")
    assert "err\n" in ran.err
    job = served.api("GET", f"/jobs/{newest(served)}").json
    assert (job["name"], job["spec"]["argv"]) == ("my", ["/usr/bin/My Prog", "-x"])


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending("succeeded", "exit", exit_code=0), 0),
        (Ending("failed", "timeout", signal=15), 124),
        (Ending("failed", "idle_timeout", signal=15), 124),
        (Ending("failed", "signal", signal=11), 139),
        (Ending("failed", "oom", signal=9), 137),
        (Ending("lost", "node_lost"), 70),
        (Ending("failed", "output_schema", exit_code=0), 1),
        (Ending("cancelled", "cancelled", signal=15), 130),
    ],
)
def test_exit_codes_of_jobs(served: Facade, jobctl: Jobctl, ending: Ending, code: int) -> None:
    def work(job_id: str) -> None:
        attempt = served.do(served.gateway.start, job_id)
        if ending.outcome == "cancelled":
            served.api("POST", f"/jobs/{job_id}/cancel")
        served.do(served.gateway.end, attempt, ending)

    with worker(served, work):
        ran = jobctl("job", "create", "j", "--wait", "-o", "json", "--", "true")
    assert ran.code == code, ran.err
    assert json.loads(ran.out)["reason"] == ending.reason
    if code:
        assert ran.err


def test_follow_goes_on_when_the_node_restarts(served: Facade, jobctl: Jobctl) -> None:
    def work(job_id: str) -> None:
        attempt = served.do(served.gateway.start, job_id)
        served.do(served.gateway.write_log, attempt, b"before\n")
        time.sleep(0.3)
        served.stop_serving()
        served.do(served.gateway.write_log, attempt, b"meanwhile\n")
        time.sleep(0.5)
        served.serve(served.port)
        served.do(served.gateway.write_log, attempt, b"after\n", STDERR)
        served.do(served.gateway.end, attempt, Ending("succeeded", "exit", exit_code=0))

    with worker(served, work):
        ran = jobctl("run", "--", "true")
    assert (ran.code, ran.out) == (0, b"before\nmeanwhile\n")
    assert "after" in ran.err


def test_list_and_its_forms(served: Facade, jobctl: Jobctl) -> None:
    first = jobctl("job", "create", "a", "--", "true").out.decode().strip()
    second = jobctl("job", "create", "b", "--label", "x=1", "--", "true").out.decode().strip()
    table = jobctl("job", "list").out.decode()
    assert table.splitlines()[0].split()[:4] == ["ID", "NAME", "TYPE", "STATE"]
    assert table.index(second) < table.index(first)
    assert "\x1b" not in table
    wide = jobctl("job", "list", "-o", "wide").out.decode()
    assert "x=1" in wide
    assert jobctl("job", "list", "-o", "name").out.decode() == f"job/{second}\njob/{first}\n"
    body = json.loads(jobctl("job", "list", "--limit", "1", "-o", "json").out)
    assert body == served.api("GET", "/jobs?limit=1").json
    assert jobctl("job", "list", "--label", "x", "-o", "name").out.decode() == f"job/{second}\n"
    assert "name: b" in jobctl("job", "list", "-o", "yaml").out.decode()
    page = jobctl("job", "list", "--limit", "1")
    assert body["next_cursor"] in page.err


def test_references_are_ids_prefixes_or_the_newest_of_a_name(
    served: Facade, jobctl: Jobctl
) -> None:
    ids = [jobctl("job", "create", "same", "--", "true").out.decode().strip() for _ in range(2)]

    def found(reference: str) -> str:
        return jobctl("job", "get", reference, "-o", "name").out.decode().strip()

    assert found("same") == f"job/{ids[1]}"
    assert found(ids[0]) == f"job/{ids[0]}"
    unique = ids[0][: 1 + max(i for i in range(26) if ids[0][:i] == ids[1][:i])]
    assert found(unique) == f"job/{ids[0]}"
    shared = jobctl("job", "get", ids[0][:8])
    assert (shared.code, "more than one" in shared.err) == (64, True)
    assert jobctl("job", "get", "nothing").code == 66
    assert jobctl("job", "get", "7zzzzzzzzzzzzzzzzzzzzzzzzz").code == 66


def test_logs_of_attempts_and_tasks(served: Facade, jobctl: Jobctl) -> None:
    job_id = jobctl("job", "create", "j", "--", "true").out.decode().strip()
    assert jobctl("job", "logs", job_id).out == b""
    served.do(served.gateway.run, job_id, out=b"1\n2\n", err=b"e\n")
    ran = jobctl("job", "logs", "j")
    assert (ran.code, ran.out, ran.err) == (0, b"1\n2\n", "e\n")
    assert jobctl("job", "logs", "-f", "j").out == b"1\n2\n"
    assert jobctl("job", "logs", "j", "--attempt", "2").code == 66
    assert jobctl("job", "logs", "j", "--since", "whenever").code == 64


def test_wait(served: Facade, jobctl: Jobctl) -> None:
    job_id = jobctl("job", "create", "j", "--", "true").out.decode().strip()
    ran = jobctl("job", "wait", job_id, "--timeout", "100ms")
    assert (ran.code, "job why" in ran.err) == (75, True)
    attempt = served.do(served.gateway.start, job_id)
    assert jobctl("job", "wait", job_id, "--until", "running").code == 0
    served.do(served.gateway.end, attempt, Ending("failed", "exit", exit_code=9))
    assert jobctl("job", "wait", job_id).code == 9


def test_why_says_what_it_waits_for(served: Facade, jobctl: Jobctl) -> None:
    jobctl("job", "create", "later", "--at", "2031-02-03T04:05:06+00:00", "--", "true")
    assert "2031-02-0" in jobctl("job", "why", "later").out.decode()
    jobctl("job", "create", "ended", "--", "true")
    jobctl("job", "cancel", "ended", "--reason", "no need")
    assert b"is cancelled: no need\n" in jobctl("job", "why", "ended").out


def test_cancel_retry_why_delete(served: Facade, jobctl: Jobctl) -> None:
    job_id = jobctl("job", "create", "j", "--", "true").out.decode().strip()
    assert jobctl("job", "retry", job_id).code == 76
    assert jobctl("job", "delete", job_id).code == 76
    assert "pending" in jobctl("job", "why", job_id).out.decode()
    ran = jobctl("job", "cancel", job_id, "--reason", "no need")
    assert (ran.code, ran.out, "cancelled" in ran.err) == (0, b"", True)
    again = jobctl("job", "retry", job_id).out.decode().strip()
    assert served.api("GET", f"/jobs/{again}").json["retry_of"] == job_id
    assert jobctl("job", "delete", job_id).code == 0
    assert jobctl("job", "get", job_id).code == 66
