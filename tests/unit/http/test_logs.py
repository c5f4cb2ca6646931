"""Job logs over HTTP: pages, the live stream, resuming it."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import pytest

from actors import limits
from actors.core.job import Ending, due
from actors.core.log_record import PARTIAL, STDERR, TRUNCATED
from actors.core.store.txn import Txn
from actors.core.task_set import advance
from actors.errors import Unavailable
from actors.model import keys
from tests.unit.http.facade import Facade
from tests.unit.http.test_jobs import submit

FAILED = Ending("failed", "exit", exit_code=1)


def test_page_of_the_last_attempt(served: Facade) -> None:
    job_id = submit(served)
    empty = served.api("GET", f"/jobs/{job_id}/logs").json
    assert empty == {"items": [], "next_from": 0, "end": False, "gaps": []}
    served.do(served.gateway.run, job_id, out=b"a\nb\n", err=b"oh\n")
    page = served.api("GET", f"/jobs/{job_id}/logs").json
    assert [(r["seq"], r["stream"], r["text"]) for r in page["items"]] == [
        (0, "stdout", "a\nb\n"),
        (2, "stderr", "oh\n"),
    ]
    assert (page["next_from"], page["end"]) == (3, True)
    only = served.api("GET", f"/jobs/{job_id}/logs?stream=stderr&from=1").json
    assert [r["text"] for r in only["items"]] == ["oh\n"]
    assert served.api("GET", f"/jobs/{job_id}/logs?attempt=2").status == 404
    assert served.api("GET", f"/jobs/{job_id}/logs?task=1&attempt=2").status == 404


def test_any_bytes_survive(served: Facade) -> None:
    job_id = submit(served)
    bad = b"\xff\xfe\x00\x1b[31mred\n"
    attempt = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, attempt, bad)
    served.do(served.gateway.write_log, attempt, b"\x1b[31mred\x00 \xc3", flags=PARTIAL)
    served.do(served.gateway.write_log, attempt, b"cut", flags=TRUNCATED)
    first, second, third = served.api("GET", f"/jobs/{job_id}/logs").json["items"]
    assert base64.b64decode(first["base64"]) == bad
    assert "text" not in first
    assert second["partial"] is True
    assert base64.b64decode(second["base64"]) == b"\x1b[31mred\x00 \xc3"
    assert third["truncated"] is True


def test_stream_is_live_and_ends_with_the_job(served: Facade) -> None:
    job_id = submit(served)
    with served.stream(f"/jobs/{job_id}/logs/stream") as frames:
        attempt = served.do(served.gateway.start, job_id)
        for i in range(3):
            sent = time.monotonic()
            served.do(served.gateway.write_log, attempt, b"%d\n" % i)
            event, id_, data = next(frames)
            assert time.monotonic() - sent < 0.2
            assert (event, id_, data["text"]) == ("log", f"0.1.{i + 1}", f"{i}\n")
        served.do(served.gateway.end, attempt, FAILED)
        event, _, data = next(frames)
        assert (event, data["state"], data["exit_code"]) == ("end", "failed", 1)


def test_stream_goes_on_with_the_next_attempt(served: Facade) -> None:
    job_id = submit(served, retry={"max_attempts": 2, "delay": "0s", "jitter": "none"})
    first = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, first, b"one\n")
    served.do(served.gateway.end, first, FAILED)
    _make_pending(served, job_id)
    served.do(served.gateway.run, job_id, out=b"two\n")
    with served.stream(f"/jobs/{job_id}/logs/stream?attempt=1") as frames:
        assert [(e, i) for e, i, _ in frames] == [("log", "0.1.1"), ("log", "0.2.1"), ("end", "")]
    with served.stream(f"/jobs/{job_id}/logs/stream") as frames:
        assert [i for _, i, _ in frames] == ["0.2.1", ""]


def test_stream_resumes_behind_any_id(served: Facade) -> None:
    job_id = submit(served)
    served.do(served.gateway.run, job_id, out=b"a\n", err=b"b\n")
    with served.stream(f"/jobs/{job_id}/logs/stream", Last_Event_ID="0.1.1") as frames:
        assert [(e, d.get("text")) for e, _, d in frames] == [("log", "b\n"), ("end", None)]
    bad = served.api("GET", f"/jobs/{job_id}/logs/stream", headers={"Last-Event-ID": "x"})
    assert bad.status == 400


def test_stream_of_a_fan_out_tells_task_after_task(served: Facade) -> None:
    job_id = submit(served, tasks=3)
    make_members(served, job_id, 3)
    runs = [served.do(served.gateway.start, job_id, i) for i in range(3)]
    for i in (2, 1, 0):
        served.do(served.gateway.write_log, runs[i], b"%d\n" % i)
        served.do(served.gateway.end, runs[i], Ending("succeeded", "exit", 0))
    _end_fan_out(served, job_id)
    with served.stream(f"/jobs/{job_id}/logs/stream?attempt=1") as frames:
        told = [(e, i) for e, i, _ in frames]
    assert told == [("log", "0.1.1"), ("log", "1.1.1"), ("log", "2.1.1"), ("end", "")]
    with served.stream(f"/jobs/{job_id}/logs/stream?task=1") as frames:
        assert [i for _, i, _ in frames] == ["1.1.1", ""]


def test_stream_tells_gaps_and_a_deleted_job(served: Facade) -> None:
    job_id = submit(served)
    attempt = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, attempt, b"1\n2\n")
    served.do(served.gateway.write_log, attempt, b"3\n")
    served.do(lambda: served.gateway._logs[attempt].pop(0))
    with served.stream(f"/jobs/{job_id}/logs/stream") as frames:
        event, _, data = next(frames)
        assert (event, data) == ("gap", {"task": 0, "attempt": 1, "from": 0, "to": 2})
        assert next(frames)[2]["text"] == "3\n"
        gone: dict[str, Any] = {keys.job(job_id): None}
        served.do(served.gateway.commit, Txn((), tuple(gone.items())))
        assert next(frames)[2] == {"id": job_id, "state": "deleted"}


def test_shutdown_ends_streams_at_once(served: Facade) -> None:
    job_id = submit(served)
    with served.stream(f"/jobs/{job_id}/logs/stream") as frames:
        began = time.monotonic()
        stopper = threading.Thread(target=served.stop_serving)
        stopper.start()
        assert list(frames) == []
        stopper.join()
        assert time.monotonic() - began < 2
        served.serve(0)


def test_stream_that_fails_breaks_off_without_an_end(
    served: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submit(served)
    attempt = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, attempt, b"a\n")
    with served.stream(f"/jobs/{job_id}/logs/stream") as frames:
        assert next(frames)[2]["text"] == "a\n"
        served.gateway.log_broken = Unavailable("the log can't be read now")
        served.do(served.gateway.wake)
        assert list(frames) == []
    assert "the log can't be read now" in caplog.text


def test_fan_out_ends_with_the_job_and_not_with_its_last_task(served: Facade) -> None:
    job_id = submit(served, tasks=2)
    make_members(served, job_id, 2)
    with served.stream(f"/jobs/{job_id}/logs/stream?attempt=1") as frames:
        for i in range(2):
            attempt = served.do(served.gateway.start, job_id, i)
            served.do(served.gateway.write_log, attempt, b"x\n")
            served.do(served.gateway.end, attempt, Ending("succeeded", "exit", 0))
            assert next(frames)[2]["task"] == i
        time.sleep(0.05)
        assert served.api("GET", f"/jobs/{job_id}").json["state"] == "running"
        _end_fan_out(served, job_id)
        event, _, data = next(frames)
        assert (event, data["state"]) == ("end", "succeeded")


def test_lines_read_in_one_go_are_one_record(served: Facade) -> None:
    job_id = submit(served)
    attempt = served.do(served.gateway.start, job_id)
    for line in (b"1\n", b"2\n", b"3\n"):
        served.do(served.gateway.write_log, attempt, line)
    served.do(served.gateway.write_log, attempt, b"4\n", STDERR)
    served.gateway.now_ms += 1
    served.do(served.gateway.write_log, attempt, b"5\n", STDERR)
    items = served.api("GET", f"/jobs/{job_id}/logs").json["items"]
    assert [(r["seq"], r["text"]) for r in items] == [(0, "1\n2\n3\n"), (3, "4\n"), (4, "5\n")]


def test_streams_are_bounded_and_ended_ones_are_free_again(
    served: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SSE_STREAMS", 1)
    job_id = submit(served)
    path = f"/jobs/{job_id}/logs/stream"
    with served.stream(path) as frames:
        assert served.api("GET", "/events/stream").status == 429
        served.api("POST", f"/jobs/{job_id}/cancel")
        assert next(frames)[0] == "end"
    deadline = time.monotonic() + 5
    while served.api("GET", path).status == 429:
        assert time.monotonic() < deadline


def test_marked_streams(served: Facade) -> None:
    job_id = submit(served)
    served.do(served.gateway.run, job_id, out=b"o\n", err=b"e\n")
    with served.stream(f"/jobs/{job_id}/logs/stream?stream=stderr") as frames:
        assert [d.get("text") for _, _, d in frames] == ["e\n", None]
    assert STDERR == 2


def test_since_leaves_older_records_out(served: Facade) -> None:
    job_id = submit(served)
    attempt = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, attempt, b"old\n")
    served.gateway.now_ms += 60_000
    served.do(served.gateway.write_log, attempt, b"new\n")
    served.do(served.gateway.end, attempt, FAILED)
    for since in ("30s", "2027-01-15T08:00:30Z"):
        page = served.api("GET", f"/jobs/{job_id}/logs?since={since}").json
        assert [r["text"] for r in page["items"]] == ["new\n"]
        with served.stream(f"/jobs/{job_id}/logs/stream?since={since}") as frames:
            assert [i for _, i, _ in frames] == ["0.1.2", ""]
    assert served.api("GET", f"/jobs/{job_id}/logs?since=yesterday").status == 400


def _make_pending(served: Facade, job_id: str) -> None:
    """Play the due index: a scheduled retry becomes pending."""
    served.gateway.now_ms += 3_600_000
    txn = due(served.gateway.state, keys.job(job_id), now_ms=served.gateway.now_ms, rand=0.0)
    assert txn is not None
    served.do(served.gateway.commit, txn)


def make_members(served: Facade, job_id: str, tasks: int) -> None:
    txn = advance(served.gateway.state, job_id, served.gateway.now_ms)
    assert txn is not None
    served.do(served.gateway.commit, txn)
    assert len(list(served.gateway.state.scan(keys.tasks_of(job_id)))) == tasks


def _end_fan_out(served: Facade, job_id: str) -> None:
    while (txn := advance(served.gateway.state, job_id, served.gateway.now_ms)) is not None:
        served.do(served.gateway.commit, txn)
