"""What doors tell the audit trail, and how it is asked."""

from __future__ import annotations

import hashlib
import json

from actors.core.audit import AuditRecord
from actors.errors import ReadOnly
from tests.unit.http.facade import Facade
from tests.unit.http.test_jobs import SPEC, submit

BYTES = {"Content-Type": "application/octet-stream"}


def last(served: Facade) -> AuditRecord:
    return served.gateway.audit.records[-1]


def test_a_change_is_recorded_with_who_what_and_how_it_ended(served: Facade) -> None:
    body = json.dumps(SPEC).encode()
    headers = {"Content-Type": "application/json", "X-Request-ID": "r-1"}
    assert served.api("POST", "/jobs", body, headers=headers).status == 202
    record = last(served)
    assert (record.operation, record.subject) == ("submit_job", "/jobs")
    assert (record.decision, record.outcome) == ("allowed", "ok")
    assert (record.door, record.remote, record.request) == ("http", "127.0.0.1", "r-1")
    assert record.actor == served.token.split("_")[1]
    assert record.args == hashlib.sha256(body).hexdigest()
    assert served.api("POST", "/jobs/nothing/cancel").status == 404
    assert (last(served).subject, last(served).outcome) == ("/jobs/nothing/cancel", "not_found")


def test_reads_are_not_recorded(served: Facade) -> None:
    job_id = submit(served)
    before = len(served.gateway.audit.lines)
    for path in ("/jobs", f"/jobs/{job_id}", "/audit", "/audit/verify", "/secrets"):
        assert served.api("GET", path).status == 200
    assert served.api("POST", "/jobs/plan", SPEC).status == 200
    assert len(served.gateway.audit.lines) == before


def test_of_a_secret_there_is_no_digest(served: Facade) -> None:
    assert served.api("PUT", "/secrets/db", b"hunter2", headers=BYTES).status == 200
    assert (last(served).operation, last(served).args) == ("put_secret", "")
    assert hashlib.sha256(b"hunter2").hexdigest().encode() not in served.gateway.audit.lines[-1]


def test_refusals_are_recorded(served: Facade) -> None:
    assert served.api("GET", "/jobs", token=None).status == 401
    assert (last(served).decision, last(served).outcome) == ("denied", "credential")
    assert (last(served).operation, last(served).actor) == ("list_jobs", "")
    reader = served.do(served.gateway.mint, "read")
    assert served.api("POST", "/jobs", SPEC, token=reader).status == 403
    assert (last(served).outcome, last(served).actor) == ("scope run", reader.split("_")[1])
    assert served.api("GET", "/jobs", headers={"Host": "evil.example"}).status == 403
    assert (last(served).outcome, last(served).subject) == ("host", "/api/v1/jobs")
    assert served.api("GET", "/jobs", headers={"Origin": "http://evil"}).status == 403
    assert last(served).outcome == "origin"


def test_what_cannot_be_recorded_is_not_done(served: Facade) -> None:
    served.gateway.audit.broken = ReadOnly("the audit trail can't be written")
    assert served.api("POST", "/jobs", SPEC).status == 503
    assert served.api("PUT", "/kv/a/b", b"x", headers=BYTES).status == 503
    assert served.api("GET", "/jobs").json["items"] == []
    served.gateway.audit.broken = None
    assert served.api("POST", "/jobs", SPEC).status == 202


def test_records_are_listed_newest_first_by_filters(served: Facade) -> None:
    for i in range(5):
        served.api("PUT", f"/kv/a/{i}", b"x", headers=BYTES)
    served.api("DELETE", "/kv/a/0")
    served.api("GET", "/jobs", token=None)
    page = served.api("GET", "/audit?operation=put_value&limit=2").json
    assert [item["subject"] for item in page["items"]] == ["/kv/a/4", "/kv/a/3"]
    cursor = page["next_cursor"]
    page = served.api("GET", f"/audit?operation=put_value&limit=2&cursor={cursor}").json
    assert [item["subject"] for item in page["items"]] == ["/kv/a/2", "/kv/a/1"]
    denied = served.api("GET", "/audit?decision=denied").json["items"]
    assert [item["outcome"] for item in denied] == ["credential"]
    actor = served.token.split("_")[1]
    assert len(served.api("GET", f"/audit?actor={actor}").json["items"]) == 6
    served.gateway.now_ms += 3_600_000
    served.api("DELETE", "/kv/a/1")
    recent = served.api("GET", "/audit?since=30m").json["items"]
    assert [item["operation"] for item in recent] == ["delete_value"]
    assert served.api("GET", "/audit?since=gestern").status == 400


def test_verify_finds_a_changed_record_and_a_lost_end(served: Facade) -> None:
    for i in range(3):
        served.api("PUT", f"/kv/a/{i}", b"x", headers=BYTES)
    whole = served.api("GET", "/audit/verify").json
    assert (whole["whole"], whole["records"], whole["first"]) == (True, 3, 1)
    lines = served.gateway.audit.lines
    cut = lines.pop()
    lost = served.api("GET", f"/audit/verify?head={whole['head']}").json
    assert (lost["whole"], "no record 3" in lost["problem"]) == (False, True)
    lines.append(cut)
    lines[1] = lines[1].replace(b"/kv/a/1", b"/kv/a/7")
    assert served.api("GET", "/audit/verify").json["whole"] is False
    assert served.api("GET", "/audit/verify?head=3").status == 400
