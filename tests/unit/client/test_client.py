"""The blocking client: every verb against the real routes, and what its errors are."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from actors.core.job import Ending
from actors.core.store.txn import Txn
from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    Conflict,
    Corrupt,
    Forbidden,
    IdempotencyMismatch,
    InvalidInput,
    InvalidSpec,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    ReadOnly,
    Unauthenticated,
)
from actors.model import keys
from actors.model.codec import encode
from actors.model.ids import is_id
from actors.model.job import Output
from jobd.api.job_logs import LogLine
from jobd.client import Client, Gap
from tests.unit.client.door import Door

SPEC = {"name": "t", "type": "command", "cmd": "true"}
FAILED = Ending("failed", "exit", exit_code=1)


def data_of(lines: Iterable[LogLine | Gap]) -> bytes:
    return b"".join(line.data for line in lines if isinstance(line, LogLine))


def test_a_job_is_submitted_from_a_dict_a_text_and_a_path(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: from-file\ntype: command\ncmd: 'true'\n")
    made = [client.submit(SPEC), client.submit("{name: y, type: command, cmd: x}")]
    made.append(client.submit(file))
    assert all(is_id(job.id) for job in made)
    assert [job.name for job in client.list_jobs()] == ["from-file", "y", "t"]
    assert client.get_job(made[2]).spec["argv"] == ["true"]


def test_all_problems_of_a_spec_arrive_with_their_places(client: Client) -> None:
    with pytest.raises(InvalidSpec) as refused:
        client.submit("name: x\ntype: commnd\npriority: 500\n")
    assert [(p.path, p.line) for p in refused.value.problems] == [("$.type", 2), ("$.priority", 3)]
    assert refused.value.remedy


def test_the_same_key_makes_one_job(client: Client) -> None:
    first = client.submit(SPEC, idempotency_key="invoice-1")
    assert client.submit(SPEC, idempotency_key="invoice-1").id == first.id
    with pytest.raises(IdempotencyMismatch):
        client.submit({**SPEC, "name": "other"}, idempotency_key="invoice-1")
    assert len(list(client.list_jobs())) == 1


def test_many_are_submitted_at_once(client: Client) -> None:
    items = client.submit_many([{**SPEC, "name": f"n{i}"} for i in range(250)])
    assert len({item.id for item in items}) == 250
    assert [job.name for job in client.list_jobs(name="n7")] == ["n7"]
    assert len(list(client.list_jobs())) == 250  # three pages
    assert len(list(client.list_jobs(limit=3))) == 3


def test_wait_returns_the_ended_job(door: Door, client: Client) -> None:
    job = client.submit(SPEC)
    with pytest.raises(AskTimeout, match="still pending"):
        client.wait(job, timeout_s=0.1)
    timer = threading.Timer(0.1, door.do, (door.gateway.run, job.id))
    timer.start()
    assert client.wait(job).state == "succeeded"
    timer.join()
    with pytest.raises(Conflict):
        client.delete(client.submit(SPEC))
    client.delete(job)
    with pytest.raises(NotFound):
        client.get_job(job)


def test_cancel_retry_and_explain(client: Client) -> None:
    job = client.submit(SPEC)
    assert client.explain(job)["state"] == "pending"
    assert client.cancel(job, "enough").detail == "enough"
    assert client.cancel(job).state == "cancelled"
    again = client.retry(job)
    assert client.get_job(again).retry_of == job.id
    assert list(client.attempts(again)) == []
    assert client.plan(SPEC).fits


def test_schedules(client: Client) -> None:
    spec = SPEC | {"name": "nightly", "trigger": {"cron": "0 2 * * *"}}
    assert client.submit(spec).defined == "schedule/nightly"
    schedules = client.schedules
    assert schedules.put(spec).state == "active"
    assert [each.name for each in schedules.list()] == ["nightly"]
    assert schedules.pause("nightly").state == "paused"
    assert schedules.upcoming() == []
    assert schedules.resume("nightly").state == "active"
    assert len(schedules.upcoming(3)) == len(schedules.preview("nightly", 3)) == 3
    assert client.get_job(schedules.fire("nightly", {"a": 1}).id).name == "nightly"
    schedules.backfill("nightly", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert len(schedules.get("nightly").backfills) == 1
    schedules.delete("nightly")
    with pytest.raises(NotFound):
        schedules.get("nightly")


def test_a_log_is_read_and_followed(door: Door, client: Client) -> None:
    job = client.submit(SPEC)
    attempt = door.do(door.gateway.start, job.id)
    door.do(door.gateway.write_log, attempt, b"a\n")
    lines = client.logs(job, follow=True)
    assert data_of([next(lines)]) == b"a\n"
    door.do(door.gateway.write_log, attempt, b"\xff\n")
    assert data_of([next(lines)]) == b"\xff\n"
    door.do(door.gateway.end, attempt, FAILED)
    assert list(lines) == []
    assert data_of(client.logs(job)) == b"a\n\xff\n"


def test_following_goes_on_behind_the_last_line(door: Door, client: Client) -> None:
    job = client.submit(SPEC)
    attempt = door.do(door.gateway.start, job.id)
    door.do(door.gateway.write_log, attempt, b"a\nb\n")
    lines = client.logs(job, follow=True)
    seen = [next(lines)]
    door.restart()
    door.do(door.gateway.write_log, attempt, b"c\n")
    seen.append(next(lines))
    door.do(door.gateway.end, attempt, FAILED)
    assert data_of([*seen, *lines]) == b"a\nb\nc\n"


def test_a_large_log_arrives_whole(door: Door, client: Client) -> None:
    job = client.submit(SPEC)
    attempt = door.do(door.gateway.start, job.id)
    for i in range(400):
        door.do(door.gateway.write_log, attempt, (b"%d" % i) * 4_000 + b"\n")
    door.do(door.gateway.end, attempt, FAILED)
    followed = data_of(client.logs(job, follow=True))
    assert len(followed) > 4_000_000
    assert followed == data_of(client.logs(job))


def test_outputs_and_artifacts(door: Door, client: Client, tmp_path: Path) -> None:
    job = client.submit(SPEC)
    with pytest.raises(NotFound):
        client.output(job)
    inline = keys.output(job.id, 0)
    door.do(door.gateway.commit, Txn((), ((inline, encode(Output(b'{"n": 1}', 8))),)))
    assert client.output(job) == {"n": 1}
    content = json.dumps("x" * 3_000_000).encode()
    file = tmp_path / "kept"
    file.write_bytes(content)
    large = Output(None, len(content), hashlib.sha256(content).hexdigest())
    door.do(door.gateway.commit, Txn((), ((inline, encode(large)),)))
    door.gateway.artifacts[job.id, 0] = file
    assert client.output(job) == "x" * 3_000_000
    assert [a.size_bytes for a in client.artifacts(job)] == [len(content)]
    buffer = io.BytesIO()
    assert client.download(job, buffer) == len(content)
    assert buffer.getvalue() == content
    target = tmp_path / "got"
    client.download(job, target)
    assert target.read_bytes() == content
    file.write_bytes(content[:-1] + b"?")
    with pytest.raises(Corrupt):
        client.download(job, tmp_path / "bad")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["got", "kept"]


def test_events_are_followed_without_loss(door: Door, client: Client) -> None:
    events = client.events("order:*")
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.extend(next(events) for _ in range(40)))
    reader.start()
    time.sleep(0.2)
    for i in range(40):
        client.emit("order:created", {"n": i})
        client.emit("other")
        if i in (10, 25):
            door.restart()
    reader.join(20)
    assert [event.data["n"] for event in got] == list(range(40))
    assert client.emit("order:x", idempotency_key="k") == client.emit(
        "order:x", idempotency_key="k"
    )
    last = list(client.events("order:x", follow=False))
    assert len(last) == 1


def test_a_gap_is_said(door: Door, client: Client) -> None:
    client.emit("a")
    door.gateway.floor = (door.gateway.state.revision, 9)
    client.emit("b")
    gap, event = list(client.events(after="1-0", follow=False))
    assert isinstance(gap, Gap)
    assert event.type == "b"  # type: ignore[union-attr]
    followed = client.events(after="1-0")
    assert isinstance(next(followed), Gap)
    assert next(followed).type == "b"  # type: ignore[union-attr]


def test_values(client: Client) -> None:
    assert client.kv.get("ns", "a/b") is None
    revision = client.kv.put("ns", "a/b", b"1").revision
    assert client.kv.get("ns", "a/b") == (b"1", revision)
    with pytest.raises(PreconditionFailed) as failed:
        client.kv.put("ns", "a/b", b"2", if_match=revision - 1)
    assert failed.value.revision == revision
    with pytest.raises(PreconditionFailed):
        client.kv.create("ns", "a/b", b"2")
    assert not client.kv.cas("ns", "a/b", b"0", b"2")
    assert client.kv.cas("ns", "a/b", b"1", b"2")
    assert client.kv.cas("ns", "new", None, b"x")
    assert not client.kv.cas("ns", "new", None, b"y")
    assert [item.key for item in client.kv.list("ns")] == ["a/b", "new"]
    client.kv.delete("ns", "new")
    with pytest.raises(NotFound):
        client.kv.delete("ns", "new")


def test_tokens_and_scopes(door: Door, client: Client) -> None:
    minted = client.tokens.create("ci", ["read"], ttl="1d")
    assert [token.name for token in client.tokens.list() if token.id == minted.id] == ["ci"]
    assert minted.token
    with Client(door.address, token=minted.token) as reader:
        assert list(reader.list_jobs()) == []
        with pytest.raises(Forbidden, match="lacks the scope run"):
            reader.submit(SPEC)
        client.tokens.revoke(minted.id)
        with pytest.raises(Unauthenticated):
            reader.status()


def test_the_node_and_any_operation(client: Client) -> None:
    assert client.status().node == "n1"
    assert client.api("get_status").status == 200
    assert client.inspect("/api").cls == "ApiDoor"
    assert client.ping("/api") == 1
    with pytest.raises(InvalidInput):
        client.ping("api")
    for name, params in (("nonsense", {}), ("get_job", {"id": "x"})):
        with pytest.raises(NotFound):
            client.api(name, params)
    with pytest.raises(InvalidInput, match="needs the parameter 'id'"):
        client.api("get_job")
    with pytest.raises(InvalidInput, match="answers with a stream"):
        client.api("stream_events")


def test_an_ended_actor_is_told(door: Door, client: Client) -> None:
    assert client.watch("/nobody") == "unknown"
    with pytest.raises(AskTimeout):
        client.watch("/api", timeout_s=0.1)
    timer = threading.Timer(0.2, door.do, (door.host.stop, "/api", "told to"))
    timer.start()
    assert client.watch("/api") == "told to"
    timer.join()


def test_an_unknown_token_is_refused(door: Door) -> None:
    with Client(door.address, token="jobd_x_y") as stranger, pytest.raises(Unauthenticated):
        stranger.status()


def test_nobody_there_is_said_at_once() -> None:
    with Client("127.0.0.1:1", token="") as lonely:
        began = time.monotonic()
        with pytest.raises(
            ActorUnavailable, match=r"127\.0\.0\.1:1 \(connection refused\)"
        ) as error:
            lonely.submit(SPEC)
    assert time.monotonic() - began < 2
    assert not error.value.maybe_executed
    assert "jobd start" in error.value.remedy


def test_an_unknown_outcome_has_its_key(door: Door, client: Client) -> None:
    door.gateway.broken = OutcomeUnknown("in doubt", idempotency_key="k", job_id="j")
    with (
        Client(door.address, token=door.token, timeout_s=0.2) as hasty,
        pytest.raises(OutcomeUnknown) as unknown,
    ):
        hasty.submit(SPEC)
    key = unknown.value.idempotency_key
    door.gateway.broken = None
    assert client.submit(SPEC, idempotency_key=key).idempotency_key == key


def test_a_node_that_is_read_only_is_not_waited_for(door: Door, client: Client) -> None:
    client.status()
    door.gateway.broken = ReadOnly("the disk is full")
    began = time.monotonic()
    with pytest.raises(ReadOnly):
        client.submit(SPEC)
    assert time.monotonic() - began < 2


def test_the_next_address_is_used_and_kept(door: Door) -> None:
    addresses = ["127.0.0.1:1", door.address]
    with Client(addresses, token=door.token) as client:
        assert client.status().node == "n1"
        assert client.address == door.address
        client.get_job(client.submit(SPEC))
        assert client.address == door.address


def test_threads_share_a_client(client: Client) -> None:
    seen: list[int] = []

    def work() -> None:
        seen.extend(client.status().revision for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 800


def test_a_closed_client_says_so(door: Door) -> None:
    client = Client(door.address, token=door.token)
    client.status()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.status()


def test_a_fork_is_refused(client: Client) -> None:
    client.status()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client.status()
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        assert b"fork" in said.read()


def test_values_of_a_wrong_type_are_refused_in_one_line(client: Client) -> None:
    wrong: Any
    for wrong in ([], None, len):
        with pytest.raises(TypeError, match="a spec is a mapping"):
            client.submit(wrong)
    wrong = 3
    with pytest.raises(TypeError, match="a job is its id"):
        client.wait(wrong)
    wrong = "text"
    with pytest.raises(TypeError, match="a value is bytes, not str"):
        client.kv.put("space", "key", wrong)
    with pytest.raises(TypeError, match="can't be sent"):
        client.kv.put("space", "\ud800", b"")
