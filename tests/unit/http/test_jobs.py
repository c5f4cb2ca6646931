"""Jobs over HTTP: submit, look, list, wait, cancel, retry, delete, results."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from actors.core.store.txn import Txn
from actors.errors import Busy, OutcomeUnknown, ReadOnly
from actors.model import keys
from actors.model.codec import encode
from actors.model.job import Output
from tests.unit.http.facade import Facade

SPEC: dict[str, Any] = {"name": "hello", "type": "command", "cmd": "true"}


def submit(served: Facade, **changes: Any) -> str:
    answer = served.api("POST", "/jobs", SPEC | changes)
    assert answer.status == 202, answer.body
    job_id = answer.json["id"]
    assert isinstance(job_id, str)
    return job_id


def test_submitted_job_is_there_and_its_answer_says_where(served: Facade) -> None:
    answer = served.api("POST", "/jobs", SPEC)
    job_id = answer.json["id"]
    assert answer.status == 202
    assert answer.json == {"id": job_id, "idempotency_key": job_id}
    assert answer.headers["Location"] == f"/api/v1/jobs/{job_id}"
    got = served.ask("GET", answer.headers["Location"])
    assert got.json["name"] == "hello"
    assert got.json["state"] == "pending"
    assert got.json["spec"]["argv"] == ["true"]
    assert got.headers["ETag"] == f'"{got.json["revision"]}"'
    assert got.headers["X-JobD-Revision"] == answer.headers["X-JobD-Revision"]


def test_yaml_body_is_a_spec_too(served: Facade) -> None:
    body = b"name: y\ntype: command\nshell: 'echo a | cat'\n"
    answer = served.api("POST", "/jobs", body, headers={"Content-Type": "application/yaml"})
    got = served.api("GET", f"/jobs/{answer.json['id']}")
    assert got.json["spec"]["argv"] == ["/bin/sh", "-c", "echo a | cat"]


def test_all_problems_of_a_spec_come_with_their_places(served: Facade) -> None:
    body = b"name: y\ntype: command\ncmd: 'true'\nvolums: []\npriority: 900\n"
    answer = served.api("POST", "/jobs", body, headers={"Content-Type": "application/yaml"})
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == "urn:jobd:problem:invalid_spec"
    assert {(e["path"], e["line"]) for e in answer.json["errors"]} == {
        ("$.volums", 4),
        ("$.priority", 5),
    }


def test_idempotency_key_makes_one_job(served: Facade) -> None:
    first = served.api("POST", "/jobs", SPEC, headers={"Idempotency-Key": "k-1"})
    again = served.api("POST", "/jobs", SPEC, headers={"Idempotency-Key": "k-1"})
    assert (first.status, again.status) == (202, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body == first.body
    other = served.api("POST", "/jobs", SPEC | {"name": "b"}, headers={"Idempotency-Key": "k-1"})
    assert other.status == 422
    assert other.json["type"] == "urn:jobd:problem:idempotency_mismatch"


def test_minted_key_repeats_safely(served: Facade) -> None:
    first = served.api("POST", "/jobs", SPEC)
    key = first.json["idempotency_key"]
    again = served.api("POST", "/jobs", SPEC, headers={"Idempotency-Key": key})
    assert (again.status, again.json["id"]) == (200, first.json["id"])


def test_bad_idempotency_key_is_refused(served: Facade) -> None:
    answer = served.api("POST", "/jobs", SPEC, headers={"Idempotency-Key": "a b"})
    assert answer.status == 400


def test_unknown_outcome_names_the_key(served: Facade) -> None:
    served.gateway.broken = OutcomeUnknown("no answer", idempotency_key="k", job_id="j")
    answer = served.api("POST", "/jobs", SPEC)
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    assert answer.json["accepted"] == "unknown"
    assert (answer.json["idempotency_key"], answer.json["job_id"]) == ("k", "j")


@pytest.mark.parametrize(("error", "status"), [(Busy("full"), 429), (ReadOnly("disk full"), 503)])
def test_refusals_have_their_status(served: Facade, error: Exception, status: int) -> None:
    served.gateway.broken = error
    answer = served.api("POST", "/jobs", SPEC)
    assert answer.status == status
    assert "accepted" not in answer.json


def test_internal_error_is_a_problem_without_a_traceback(served: Facade) -> None:
    served.gateway.broken = ZeroDivisionError("secret detail")
    answer = served.api("POST", "/jobs", SPEC, headers={"X-Request-ID": "r-1"})
    assert answer.status == 500
    assert b"secret detail" not in answer.body
    assert answer.json["instance"] == "r-1" == answer.headers["X-Request-ID"]


def test_body_over_the_limit_is_413(served: Facade) -> None:
    answer = served.api(
        "POST",
        "/jobs",
        b"name: " + b"x" * 1_100_000,
        headers={"Content-Type": "application/yaml"},
    )
    assert answer.status == 413
    assert answer.json["type"] == "urn:jobd:problem:too_large"


def test_list_is_newest_first_and_pages(served: Facade) -> None:
    made = [submit(served, name=f"j{i}") for i in range(5)]
    first = served.api("GET", "/jobs?limit=3").json
    assert [job["id"] for job in first["items"]] == made[:1:-1]
    second = served.api("GET", f"/jobs?limit=3&cursor={first['next_cursor']}").json
    assert [job["id"] for job in second["items"]] == made[1::-1]
    assert second["next_cursor"] is None


def test_cursor_of_another_list_is_refused(served: Facade) -> None:
    submit(served), submit(served)
    cursor = served.api("GET", "/jobs?limit=1").json["next_cursor"]
    assert served.api("GET", f"/jobs?limit=1&state=failed&cursor={cursor}").status == 400
    assert served.api("GET", "/jobs?cursor=nonsense").status == 400


def test_list_filters(served: Facade) -> None:
    plain = submit(served, name="plain")
    labelled = submit(served, name="labelled", labels={"team": "data"})
    done = submit(served, name="done")
    served.do(served.gateway.run, done)

    def ids(query: str) -> set[str]:
        return {job["id"] for job in served.api("GET", f"/jobs?{query}").json["items"]}

    assert ids("state=pending") == {plain, labelled}
    assert ids("state=pending&state=succeeded") == {plain, labelled, done}
    assert ids("label=team=data") == ids("label=team:data") == ids("label=team") == {labelled}
    assert ids("name=plain") == {plain}
    assert ids("q=lab") == {labelled}
    assert ids(f"id_prefix={done}") == {done}
    assert ids("type=js") == set()


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "state=null", "stat=failed", "limit=1&limit=2"],
)
def test_bad_query_is_400(served: Facade, query: str) -> None:
    assert served.api("GET", f"/jobs?{query}").status == 400


def test_wait_returns_when_the_job_ends(served: Facade) -> None:
    job_id = submit(served)
    timer = threading.Timer(0.2, lambda: served.do(served.gateway.run, job_id, code=3))
    timer.start()
    got = served.api("GET", f"/jobs/{job_id}?wait=10s").json
    timer.join()
    assert (got["state"], got["exit_code"], got["reason"]) == ("failed", 3, "exit")


def test_wait_returns_the_present_state_at_its_timeout(served: Facade) -> None:
    job_id = submit(served)
    assert served.api("GET", f"/jobs/{job_id}?wait=50ms").json["state"] == "pending"
    assert served.api("GET", f"/jobs/{job_id}?wait=2h").status == 400


def test_read_waits_for_its_revision_or_says_that_it_is_not_there(served: Facade) -> None:
    job_id = submit(served)
    now = served.gateway.state.revision
    assert served.api("GET", f"/jobs/{job_id}?min_revision={now}").status == 200


def test_cancel(served: Facade) -> None:
    job_id = submit(served)
    answer = served.api("POST", f"/jobs/{job_id}/cancel", {"reason": "no need"})
    assert answer.status == 200
    assert answer.json["state"] == "cancelled"
    assert served.api("POST", f"/jobs/{job_id}/cancel").json["state"] == "cancelled"


def test_conditional_cancel_of_another_revision_is_412(served: Facade) -> None:
    job_id = submit(served)
    answer = served.api("POST", f"/jobs/{job_id}/cancel", headers={"If-Match": '"1"'})
    assert answer.status == 412
    etag = served.api("GET", f"/jobs/{job_id}").headers["ETag"]
    answer = served.api("POST", f"/jobs/{job_id}/cancel", headers={"If-Match": etag})
    assert answer.status == 200


def test_retry_makes_a_new_job_of_an_ended_one(served: Facade) -> None:
    job_id = submit(served)
    assert served.api("POST", f"/jobs/{job_id}/retry").status == 409
    served.do(served.gateway.run, job_id, code=1)
    answer = served.api("POST", f"/jobs/{job_id}/retry")
    assert answer.status == 202
    assert served.api("GET", f"/jobs/{answer.json['id']}").json["retry_of"] == job_id


def test_delete_takes_only_ended_jobs(served: Facade) -> None:
    job_id = submit(served)
    assert served.api("DELETE", f"/jobs/{job_id}").status == 409
    served.do(served.gateway.run, job_id)
    assert served.api("DELETE", f"/jobs/{job_id}").status == 204
    assert served.api("GET", f"/jobs/{job_id}").status == 404
    assert served.api("GET", "/jobs/no-id-at-all").status == 404


def test_attempts_show_what_ended_and_what_runs(served: Facade) -> None:
    job_id = submit(served, retry={"max_attempts": 2, "delay": "0s"})
    served.do(served.gateway.run, job_id, code=1)
    items = served.api("GET", f"/jobs/{job_id}/attempts").json["items"]
    assert [(a["attempt"], a["outcome"], a["exit_code"]) for a in items] == [(1, "failed", 1)]
    other = submit(served)
    served.do(served.gateway.start, other)
    (running,) = served.api("GET", f"/jobs/{other}/attempts").json["items"]
    assert (running["outcome"], running["node"]) == ("running", "n1")
    assert running["fence"] == served.gateway.state.revision


def test_output_inline_and_as_an_artifact(served: Facade, tmp_path: Path) -> None:
    job_id = submit(served)
    assert served.api("GET", f"/jobs/{job_id}/output").status == 404
    put = Txn((), ((keys.output(job_id, 0), encode(Output(b'{"rows":7}', 10))),))
    served.do(served.gateway.commit, put)
    assert served.api("GET", f"/jobs/{job_id}/output").json == {"rows": 7}
    big = tmp_path / "big"
    big.write_bytes(b"[1]")
    served.gateway.artifacts[job_id, 0] = big
    put = Txn((), ((keys.output(job_id, 0), encode(Output(None, 3, "ab" * 32))),))
    served.do(served.gateway.commit, put)
    (item,) = served.api("GET", f"/jobs/{job_id}/artifacts").json["items"]
    assert item == {"name": "output", "task": 0, "size_bytes": 3, "digest": "ab" * 32}
    assert served.api("GET", f"/jobs/{job_id}/output").json == [1]
    raw = served.api("GET", f"/jobs/{job_id}/artifacts/output")
    assert (raw.body, raw.headers["Content-Type"]) == (b"[1]", "application/octet-stream")
    assert served.api("GET", f"/jobs/{job_id}/artifacts/..%2f..%2fetc").status == 404


def test_explain_is_data(served: Facade) -> None:
    job_id = submit(served)
    assert served.api("GET", f"/jobs/{job_id}/explain").json["state"] == "pending"


def test_explain_names_a_node_that_starts_nothing(served: Facade) -> None:
    job_id, later = submit(served), submit(served, trigger={"delay": "1h"})
    served.gateway.broken = ReadOnly("the disk is full")
    (reason,) = served.api("GET", f"/jobs/{job_id}/explain").json["reasons"]
    assert reason == {"code": "read_only", "message": "the disk is full"}
    (reason,) = served.api("GET", f"/jobs/{later}/explain").json["reasons"]
    assert reason["code"] == "trigger"
    served.gateway.broken = None
    served.gateway.ready = (False, "the job supervisor")
    (reason,) = served.api("GET", f"/jobs/{job_id}/explain").json["reasons"]
    assert reason["code"] == "not_ready"


def test_batch_is_valid_as_a_whole_or_refused(served: Facade) -> None:
    good = {"jobs": [SPEC, SPEC | {"name": "b"}]}
    answer = served.api("POST", "/jobs/batch", good, headers={"Idempotency-Key": "b"})
    assert answer.status == 202
    ids = [item["id"] for item in answer.json["items"]]
    assert len(set(ids)) == 2
    again = served.api("POST", "/jobs/batch", good, headers={"Idempotency-Key": "b"})
    assert [item["id"] for item in again.json["items"]] == ids
    bad = served.api("POST", "/jobs/batch", {"jobs": [SPEC, {"name": "c"}]})
    assert bad.status == 422
    assert all(e["path"].startswith("$.jobs[1]") for e in bad.json["errors"])
    assert len(served.api("GET", "/jobs").json["items"]) == 2
    assert served.api("POST", "/jobs/batch", {"jobs": []}).status == 400
