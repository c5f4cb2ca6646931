"""jobctl and the HTTP facade on a real node: real processes, real logs."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.doors.conftest import Jobctl
from tests.integration.node_process import NodeProcess, until


@pytest.fixture(scope="module", autouse=True)
def oldest(jobctl: Jobctl) -> str:
    """A job that ended at the beginning: ids of the last seconds can't be deleted at once."""
    ended = jobctl("job", "create", "oldest", "--wait", "-o", "json", "--", "true")
    assert ended.code == 0
    return "oldest"


def test_first_command_of_the_contract(jobctl: Jobctl) -> None:
    ran = jobctl("job", "create", "my-job", "-t", "command", "echo 'Hello, World!'", "--follow")
    assert (ran.code, ran.out, ran.err) == (0, b"Hello, World!\n", "")
    assert jobctl("job", "logs", "my-job").out == b"Hello, World!\n"


def test_run_is_the_command_itself(jobctl: Jobctl) -> None:
    ran = jobctl("run", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ran.code, ran.out, ran.err) == (7, b"out\n", "err\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--timeout", "300ms", "--", "sleep", "30"], 124),
        (["--", "sh", "-c", "kill -SEGV $$"], 139),
        (["--", "sh", "-c", "kill -KILL $$"], 137),
        (["--", "true"], 0),
    ],
)
def test_exit_codes(jobctl: Jobctl, words: list[str], code: int) -> None:
    assert jobctl("run", *words).code == code


def test_missing_program_says_so(jobctl: Jobctl) -> None:
    ran = jobctl("run", "--", "/no/such/program")
    assert ran.code not in (0, 64)
    assert "/no/such/program" in ran.err


def test_any_bytes_and_long_lines_come_through(jobctl: Jobctl, tmp_path: Path) -> None:
    wanted = b"\xff\x00\x1b[31m\n" + b"x" * 3_000_000 + b"\r\n" + b"no newline at the end"
    file = tmp_path / "bytes"
    file.write_bytes(wanted)
    ran = jobctl("run", "--", "cat", str(file))
    assert (ran.code, ran.out == wanted) == (0, True)


def test_a_fast_writer_loses_nothing(jobctl: Jobctl) -> None:
    ran = jobctl("run", "--", "seq", "200000")
    assert ran.code == 0
    assert ran.out == b"".join(b"%d\n" % i for i in range(1, 200_001))


def test_all_attempts_are_told(jobctl: Jobctl, tmp_path: Path) -> None:
    script = f"echo try $JOBD_ATTEMPT; [ -e {tmp_path}/f ] || {{ touch {tmp_path}/f; exit 1; }}"
    spec = tmp_path / "job.yaml"
    spec.write_text(
        "name: flaky\ntype: command\nshell: '" + script.replace("'", "''") + "'\n"
        "retry: {max_attempts: 2, delay: 100ms, jitter: none}\n"
    )
    ran = jobctl("job", "create", "-f", str(spec), "--follow")
    assert (ran.code, ran.out) == (0, b"try 1\ntry 2\n")
    assert jobctl("job", "logs", "flaky").out == b"try 2\n"
    assert jobctl("job", "logs", "flaky", "--attempt", "1").out == b"try 1\n"


def test_tasks_are_told_in_their_order(jobctl: Jobctl) -> None:
    line = "sleep 0.$((9 - JOBD_TASK_INDEX)); echo task $JOBD_TASK_INDEX"
    ran = jobctl("run", "--tasks", "4", line)
    assert (ran.code, ran.out) == (0, b"".join(b"task %d\n" % i for i in range(4)))
    one = jobctl("job", "logs", "sleep", "--task", "2")
    assert one.out == b"task 2\n"


def test_interrupt_cancels(jobctl: Jobctl, node: NodeProcess) -> None:
    line = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    ctl = jobctl.start("run", "--name", "interrupted", line)
    assert ctl.stdout is not None
    assert ctl.stdout.readline() == b"up\n"
    ctl.send_signal(signal.SIGINT)
    out, _ = ctl.communicate(timeout=30)
    assert (ctl.returncode, out) == (130, b"bye\n")
    (job,) = node.call("GET", "/jobs?name=interrupted")["items"]
    assert (job["state"], job["cancel_requested"]) == ("cancelled", True)


def test_lines_are_live_within_200_ms(jobctl: Jobctl) -> None:
    script = "import time\nfor _ in range(8): print(time.time(), flush=True); time.sleep(0.25)"
    ctl = jobctl.start("run", "--", sys.executable, "-c", script)
    assert ctl.stdout is not None
    late = [time.time() - float(line) for line in ctl.stdout]
    ctl.communicate(timeout=20)
    assert len(late) == 8
    assert sorted(late)[4] < 0.2, late


def test_why_cancel_retry(jobctl: Jobctl) -> None:
    job_id = jobctl("job", "create", "later", "--delay", "1h", "--", "true").out.decode().strip()
    assert "scheduled" in jobctl("job", "why", job_id, "-o", "json").out.decode()
    assert jobctl("job", "wait", job_id, "--timeout", "50ms").code == 75
    assert jobctl("job", "cancel", job_id).code == 0
    assert jobctl("job", "wait", job_id).code == 130
    again = jobctl("job", "retry", job_id).out.decode().strip()
    assert jobctl("job", "wait", again).code == 0


def test_unbuilt_types_wait_and_say_why(jobctl: Jobctl) -> None:
    job_id = jobctl("job", "create", "c", "-t", "container", "alpine:latest").out.decode().strip()
    explained = jobctl("job", "why", job_id).out.decode()
    assert "is pending\n" in explained
    assert "no executor for this type (container) on any node" in explained
    assert jobctl("job", "cancel", job_id).code == 0


def test_output_of_a_job(jobctl: Jobctl, node: NodeProcess) -> None:
    line = """echo '{"rows": 7}' > $JOBD_OUTPUT"""
    job_id = jobctl("job", "create", "rows", line).out.decode().strip()
    assert jobctl("job", "wait", job_id).code == 0
    assert json.loads(jobctl("api", "GET", f"/jobs/{job_id}/output").out) == {"rows": 7}
    big = "head -c 100000 /dev/zero | tr '\\0' 1 > $JOBD_OUTPUT"
    job_id = jobctl("job", "create", "big", big).out.decode().strip()
    assert jobctl("job", "wait", job_id).code == 0
    assert jobctl("api", "GET", f"/jobs/{job_id}/output").out == b"1" * 100_000
    (item,) = node.call("GET", f"/jobs/{job_id}/artifacts")["items"]
    assert item["size_bytes"] == 100_000


def test_event_stream_is_complete_and_resumable(jobctl: Jobctl, node: NodeProcess) -> None:
    first = jobctl("event", "emit", "order:created", "--data", '{"n": 1}').out.decode().strip()
    assert jobctl("run", "--name", "seen", "--", "true").code == 0
    told = [
        event["type"]
        for _, event in _events(node, f"types=jobd:job:*&after={first}", 3)
        if event["data"]["name"] == "seen"
    ]
    assert told == ["jobd:job:submitted", "jobd:job:started", "jobd:job:completed"]
    ids = [id_ for id_, _ in _events(node, "types=jobd:job:*&after=0-0", 6)]
    assert ids == [id_ for id_, _ in _events(node, "types=jobd:job:*&after=0-0", 3)] + [
        id_ for id_, _ in _events(node, "types=jobd:job:*", 3, after=ids[2])
    ]


def test_tokens_bound_what_a_client_may(jobctl: Jobctl) -> None:
    reader = jobctl("token", "create", "reader", "--scope", "read").out.decode().strip()
    assert jobctl("--token", reader, "job", "list").code == 0
    assert jobctl("--token", reader, "run", "--", "true").code == 77
    assert jobctl("token", "revoke", reader.split("_")[1]).code == 0
    assert jobctl("--token", reader, "job", "list").code == 77


def test_metrics_have_a_port_of_their_own(node: NodeProcess) -> None:
    found = json.loads((node.data / "run" / "node.json").read_text())
    host, _, port = found["metrics"].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/metrics")
    assert b"jobd_jobs_completed_total" in connection.getresponse().read()
    connection.close()


def test_status_and_list_agree(jobctl: Jobctl, node: NodeProcess) -> None:
    assert json.loads(jobctl("status", "-o", "json").out)["slots_total"] == 4
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = node.call("GET", "/jobs?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        ids += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids)) > 10


def _events(
    node: NodeProcess, query: str, count: int, after: str = ""
) -> list[tuple[str, dict[str, Any]]]:
    parts = urlsplit(node.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    headers = {"Authorization": f"Bearer {node.token}"}
    headers |= {"Last-Event-ID": after} if after else {}
    connection.request("GET", f"/api/v1/events/stream?{query}", headers=headers)
    response = connection.getresponse()
    taken: list[tuple[str, dict[str, Any]]] = []
    id_ = ""
    while len(taken) < count:
        line = response.readline().decode().rstrip("\n")
        if line.startswith("id: "):
            id_ = line[4:]
        elif line.startswith("data: "):
            taken.append((id_, json.loads(line[6:])))
    response.close()
    connection.close()
    return taken


def test_pipe_to_a_reader_that_has_enough(jobctl: Jobctl) -> None:
    ctl = jobctl.start("run", "--", "seq", "100000")
    head = subprocess.run(["head", "-n", "2"], stdin=ctl.stdout, capture_output=True, check=True)
    assert ctl.stdout is not None
    ctl.stdout.close()
    assert head.stdout == b"1\n2\n"
    assert ctl.stderr is not None
    err = ctl.stderr.read()
    ctl.stderr.close()
    until(lambda: ctl.poll() is not None)
    assert b"Traceback" not in err


def test_deleted_job_is_gone_with_its_log(jobctl: Jobctl, oldest: str) -> None:
    assert jobctl("job", "delete", oldest).code == 0
    assert jobctl("job", "get", oldest).code == 66
    assert jobctl("job", "logs", oldest).code == 66
