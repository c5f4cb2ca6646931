"""One trace, from the request to the attempt, at a real OTLP receiver; nothing waits for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node_process import NodeProcess, until
from tests.integration.telemetry.receiver import Receiver, receiving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def node(receiver: Receiver, tmp_path: Path) -> Iterator[NodeProcess]:
    config = tmp_path / "jobd.yaml"
    config.write_text(f"telemetry: {{otlp_endpoint: '{receiver.endpoint}'}}\n")
    node = NodeProcess(
        tmp_path / "data", "--config", str(config), "--log-level", "debug", "--log-format", "json"
    )
    try:
        yield node.start()
    finally:
        node.end()


def submit(node: NodeProcess, traceparent: str, **spec: Any) -> str:
    job = {"name": "traced", "type": "command", **spec}
    headers = {"traceparent": traceparent} if traceparent else {}
    made: str = node.call("POST", "/jobs", job, headers)["id"]
    return made


def counted(node: NodeProcess, what: str) -> float:
    found = json.loads((node.data / "run" / "node.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{found}/metrics", timeout=5) as response:
        text = response.read().decode()
    (value,) = re.findall(rf"^jobd_telemetry_spans_{what}_total (\S+)$", text, re.MULTILINE)
    return float(value)


def test_one_trace_from_the_request_to_the_log_line(node: NodeProcess, receiver: Receiver) -> None:
    job_id = submit(
        node,
        f"00-{TRACE}-{PARENT}-01",
        shell="echo $TRACEPARENT; test $JOBD_ATTEMPT = 2",
        retry={"max_attempts": 2, "delay": "10ms"},
    )
    assert node.ended(job_id)["state"] == "succeeded"
    until(lambda: receiver.named("job traced"))
    (request,) = receiver.named("POST /api/v1/jobs")
    (job,) = receiver.named("job traced")
    first, second = sorted(receiver.named("attempt"), key=lambda span: span.start_ns)
    assert {span.trace_id for span in (request, job, first, second)} == {TRACE}
    assert request.parent_id == PARENT
    assert job.parent_id == request.span_id
    assert first.parent_id == second.parent_id == job.span_id
    assert len({span.span_id for span in (request, job, first, second)}) == 4
    assert (first.failed, second.failed, job.failed, request.failed) == (True, False, False, False)
    assert request.attributes["http.response.status_code"] == 202
    assert job.attributes["jobd.job.id"] == job_id
    assert (first.attributes["jobd.attempt"], first.attributes["process.exit.code"]) == (1, 1)
    assert job.start_ns <= first.start_ns <= first.end_ns <= second.start_ns <= job.end_ns
    assert {span.service for span in receiver.spans} == {"jobd"}
    assert receiver.paths == {"/v1/traces"}

    events = node.call("GET", f"/jobs/{job_id}/events")["items"]
    assert {event["trace"] for event in events} == {f"00-{TRACE}-{job.span_id}-01"}
    said = [node.logs(job_id, attempt=n)[0]["text"].strip() for n in (1, 2)]
    assert said == [f"00-{TRACE}-{span.span_id}-01" for span in (first, second)]
    lines = [json.loads(line) for line in node.log().splitlines()]
    about = [line for line in lines if job_id in line["message"] and "jobd:job:" in line["message"]]
    assert len(about) == len(events)
    assert {line["trace_id"] for line in about} == {TRACE}
    (asked,) = [line for line in lines if line["message"] == "POST /api/v1/jobs: 202"]
    assert (asked["trace_id"], asked["span_id"]) == (TRACE, request.span_id)


def test_a_trace_is_minted_where_none_came(node: NodeProcess, receiver: Receiver) -> None:
    jobs = [submit(node, text, cmd="true") for text in ("", f"00-{TRACE}-{PARENT}-zz", "0" * 4000)]
    for job_id in jobs:
        node.ended(job_id)
    until(lambda: len(receiver.named("job traced")) == 3)
    requests = {span.span_id: span for span in receiver.named("POST /api/v1/jobs")}
    for span in receiver.named("job traced"):
        assert requests[span.parent_id].trace_id == span.trace_id != TRACE
        assert requests[span.parent_id].parent_id == ""


def test_a_trace_that_is_not_sampled_goes_along_and_nowhere_else(
    node: NodeProcess, receiver: Receiver
) -> None:
    quiet = submit(node, f"00-{TRACE}-{PARENT}-00", shell="echo $TRACEPARENT")
    node.ended(quiet)
    node.ended(submit(node, "", cmd="true"))
    until(lambda: receiver.named("job traced"))
    assert not [span for span in receiver.spans if span.trace_id == TRACE]
    (line,) = node.logs(quiet)
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00\n", line["text"])


def test_tasks_have_attempts_of_their_own(node: NodeProcess, receiver: Receiver) -> None:
    node.ended(submit(node, "", shell="test $JOBD_TASK_INDEX != 1", tasks=3, min_success=2))
    until(lambda: receiver.named("job traced"))
    attempts = receiver.named("attempt")
    assert sorted(span.attributes["jobd.task"] for span in attempts) == [0, 1, 2]
    assert [span.attributes["jobd.task"] for span in attempts if span.failed] == [1]


def test_a_restart_tells_of_the_same_job(node: NodeProcess, receiver: Receiver) -> None:
    job_id = submit(node, f"00-{TRACE}-{PARENT}-01", cmd="sleep", args=["1"])
    until(lambda: node.job(job_id)["state"] == "running")
    node.kill()
    node.start()
    assert node.ended(job_id)["state"] == "succeeded"
    until(lambda: receiver.named("job traced"))
    (job,), (attempt,) = receiver.named("job traced"), receiver.named("attempt")
    assert (job.trace_id, attempt.parent_id) == (TRACE, job.span_id)


def test_a_receiver_that_refuses_or_hangs_costs_spans_and_nothing_else(
    node: NodeProcess, receiver: Receiver
) -> None:
    receiver.refusing = True
    node.ended(submit(node, "", cmd="true"))
    until(lambda: counted(node, "dropped") > 0)
    assert "the OTLP endpoint takes no spans" in node.log()
    receiver.refusing = False
    receiver.answering.clear()
    node.ended(submit(node, "", cmd="true"))
    for _ in range(20):
        node.ended(submit(node, "", cmd="true"))
    receiver.answering.set()
    until(lambda: counted(node, "exported") > 0)
    assert "the OTLP endpoint takes spans" in node.log()
    receiver.answering.clear()
    assert node.stop() == 0, "a node ends without its receiver"


def test_the_extra_is_missing(tmp_path: Path) -> None:
    """A module that can't be imported stands in for a distribution that is not there."""
    block = "import sys; sys.modules['opentelemetry'] = None; "
    run = "from jobd.__main__ import main; sys.argv[0] = 'jobd'; main()"
    start = ["start", "--data", str(tmp_path / "data"), "--http", "127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "-c", block + run, *start],
        env={"JOBD_CFG_TELEMETRY__OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    cause, remedy = done.stderr.splitlines()
    assert cause.startswith("jobd: telemetry.otlp_endpoint is set and opentelemetry")
    assert "pip install 'jobd-cluster[otel]'" in remedy
