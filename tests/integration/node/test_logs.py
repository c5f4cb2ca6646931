"""Job logs of a running node: how soon a line is seen, and that every byte arrives."""

from __future__ import annotations

import base64
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from actors import limits
from tests.integration.node.test_doors import stream
from tests.integration.node_process import NodeProcess, Refused, until

LINES = 60


def content(records: list[dict[str, Any]], source: str = "stdout") -> bytes:
    """The bytes of a stream, put together as a client does."""
    return b"".join(
        base64.b64decode(r["base64"]) if "base64" in r else r["text"].encode()
        for r in records
        if r["stream"] == source
    )


def test_a_line_is_seen_within_200_ms(node: NodeProcess) -> None:
    """From the write in the job to the frame at a client that follows: p50 and p99."""
    script = (
        "import time\n"
        f"for _ in range({LINES}):\n"
        "    print(time.time(), flush=True); time.sleep(0.03)\n"
    )
    job_id = node.submit(cmd="python3", args=["-c", script])
    late: list[float] = []
    seen = 0
    with stream(node, f"/jobs/{job_id}/logs/stream") as frames:
        for frame in frames:
            if frame["event"] == "end":
                break
            now = time.time()
            late += [now - float(text) for text in frame["data"]["text"].split()]
            seen = int(frame["id"].split(".")[2])
    assert frame["data"]["state"] == "succeeded"
    assert (len(late), seen) == (LINES, LINES)
    p50, p99 = statistics.median(late), sorted(late)[round(0.99 * LINES) - 1]
    print(f"log tail: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")  # noqa: T201
    assert p99 <= 0.2


def test_every_byte_arrives(node: NodeProcess, tmp_path: Path) -> None:
    """A line of 3 MB, NUL, ANSI and bytes that are no UTF-8 come out as they went in."""
    line = bytes(range(32, 127)) * (3_000_000 // 95) + b"\n"
    parts = [
        b"nul \0 within\n",
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07\r\n",
        b"\xff\xfe \xc3\x28 \xed\xa0\x80\n",
        line,
        "zażółć 🦀\u2028\n".encode(),
        b"\n\n",
        b"no newline at the end",
    ]
    source = tmp_path / "bytes"
    source.write_bytes(b"".join(parts))
    job_id = node.submit(shell=f"cat {source}; cat {source} >&2")
    assert node.ended(job_id)["state"] == "succeeded"
    records = node.logs(job_id)
    for name in ("stdout", "stderr"):
        assert content(records, name) == source.read_bytes()
        assert content(node.logs(job_id, stream=name), name) == source.read_bytes()
    assert any(r.get("partial") for r in records)
    assert not any(r.get("truncated") for r in records)
    sizes = [len(content([r], r["stream"])) for r in records]
    assert max(sizes) <= limits.LOG_LINE_BYTES
    seqs = [r["seq"] for r in records]
    assert seqs == sorted(set(seqs))


def test_a_stream_resumes_where_it_broke_off(node: NodeProcess) -> None:
    script = "for i in $(seq 1 20); do echo $i; sleep 0.02; done"
    job_id = node.submit(shell=script, tasks=2)
    texts: list[str] = []
    last: dict[str, str] = {}
    while True:
        with stream(node, f"/jobs/{job_id}/logs/stream", **last) as frames:
            frame = next(frames)
            if frame["event"] == "end":
                break
            texts += frame["data"]["text"].split()
            last = {"Last_Event_ID": frame["id"]}
    assert texts == [str(i) for i in range(1, 21)] * 2


def test_pages_filters_and_what_they_refuse(node: NodeProcess) -> None:
    job_id = node.submit(shell="echo a; sleep 0.1; echo b >&2; exit 1", retry={"max_attempts": 1})
    node.ended(job_id)
    page = node.call("GET", f"/jobs/{job_id}/logs?limit=1")
    assert [r["text"] for r in page["items"]] == ["a\n"]
    page = node.call("GET", f"/jobs/{job_id}/logs?from={page['next_from']}")
    assert ([r["text"] for r in page["items"]], page["end"]) == (["b\n"], True)
    assert node.logs(job_id, since="2999-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("attempt=2", 404, "task 0 of job"),
        ("task=1", 404, "task 1 of job"),
        ("task=-1", 400, "query parameter task: "),
        ("limit=0", 400, "limit must be 1 to 500"),
        ("limit=x", 400, "query parameter 'limit' must be an integer, not 'x'"),
        ("limit=1&limit=2", 400, "query parameter 'limit' came 2 times"),
        ("since=yesterday", 400, "since must be a moment or a duration such as 10m"),
        ("stream=stdin", 400, "Invalid enum value 'stdin'"),
        ("form=1", 400, "unknown query parameter 'form'"),
    ],
)
def test_wrong_questions(node: NodeProcess, query: str, status: int, detail: str) -> None:
    job_id = node.submit(cmd="true")
    node.ended(job_id)
    with pytest.raises(Refused) as caught:
        node.call("GET", f"/jobs/{job_id}/logs?{query}")
    assert caught.value.status == status
    assert detail in caught.value.body["detail"]


def test_logs_survive_the_node(node: NodeProcess) -> None:
    """Kill -9 in mid-stream: what the job wrote meanwhile is there, once and in order."""
    script = "for i in $(seq 1 40); do echo $i; sleep 0.05; done"
    job_id = node.submit(shell=script)
    until(lambda: node.logs(job_id))
    node.kill()
    time.sleep(0.3)
    node.start()
    job = node.ended(job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert content(node.logs(job_id)).split() == [b"%d" % i for i in range(1, 41)]
