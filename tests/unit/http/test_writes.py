"""Writes over HTTP: made once under a key, and only at the revision that the caller saw."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import InFlight
from tests.unit.http.facade import Answer, Facade
from tests.unit.http.test_jobs import SPEC, submit
from tests.unit.http.test_logs import make_members

EVENT = {"type": "order:created", "subject": "o1", "data": {"n": 1}}
TOKEN = {"name": "ci", "scopes": ["read"]}


def send(served: Facade, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return served.api(method, path, body, headers=sent)


@pytest.mark.parametrize(("path", "body"), [("/events", EVENT), ("/tokens", TOKEN)])
def test_a_key_makes_one_and_replays_it(served: Facade, path: str, body: dict[str, Any]) -> None:
    made = send(served, "POST", path, body, Idempotency_Key="k1")
    assert (made.status, made.headers["Idempotency-Key"]) == (201, "k1")
    again = send(served, "POST", path, body, Idempotency_Key="k1")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json["id"] == made.json["id"]
    assert again.headers["X-JobD-Revision"] == made.headers["X-JobD-Revision"]
    other = send(served, "POST", path, body | {body_key(body): "other"}, Idempotency_Key="k1")
    assert (other.status, other.json["type"]) == (422, "urn:jobd:problem:idempotency_mismatch")
    assert send(served, "POST", path, body, Idempotency_Key="k2").json["id"] != made.json["id"]


def body_key(body: dict[str, Any]) -> str:
    return "type" if "type" in body else "name"


@pytest.mark.parametrize(("path", "body"), [("/events", EVENT), ("/tokens", TOKEN)])
def test_a_minted_key_comes_back_and_works(served: Facade, path: str, body: dict[str, Any]) -> None:
    made = send(served, "POST", path, body)
    key = made.headers["Idempotency-Key"]
    assert send(served, "POST", path, body, Idempotency_Key=key).json["id"] == made.json["id"]
    assert send(served, "POST", path, body).json["id"] != made.json["id"]


def test_a_replay_does_not_show_the_token_again(served: Facade) -> None:
    made = send(served, "POST", "/tokens", TOKEN, Idempotency_Key="k")
    again = send(served, "POST", "/tokens", TOKEN, Idempotency_Key="k")
    assert made.json["token"].startswith("jobd_")
    assert again.json == {"id": made.json["id"], "token": None}
    assert send(served, "DELETE", f"/tokens/{made.json['id']}").status == 204


def test_keys_of_two_tokens_are_two_keys(served: Facade) -> None:
    other = served.do(served.gateway.mint)
    mine = served.api("POST", "/events", EVENT, headers={"Idempotency-Key": "k"})
    theirs = served.api("POST", "/events", EVENT, headers={"Idempotency-Key": "k"}, token=other)
    assert (mine.status, theirs.status) == (201, 201)


def test_a_batch_stands_or_falls_by_its_key(served: Facade) -> None:
    two = {"jobs": [SPEC, SPEC | {"name": "b"}]}
    made = send(served, "POST", "/jobs/batch", two, Idempotency_Key="b")
    again = send(served, "POST", "/jobs/batch", two, Idempotency_Key="b")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == made.json
    longer = {"jobs": [*two["jobs"], SPEC | {"name": "c"}]}
    assert send(served, "POST", "/jobs/batch", longer, Idempotency_Key="b").status == 422
    assert len(served.api("GET", "/jobs").json["items"]) == 2


def test_what_is_in_flight_says_when_to_ask_again(served: Facade) -> None:
    served.gateway.broken = InFlight("the first request has no answer yet")
    answer = send(served, "POST", "/jobs", SPEC, Idempotency_Key="k")
    assert (answer.status, answer.headers["Retry-After"]) == (409, "1")


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
def test_bad_keys_are_refused_on_every_write(served: Facade, key: str) -> None:
    sent = {"Idempotency-Key": key.encode("latin-1").decode("latin-1")}
    for method, path in (("POST", "/events"), ("DELETE", "/kv/app/k"), ("POST", "/jobs/x/cancel")):
        body = EVENT if path == "/events" else None
        assert served.api(method, path, body, headers=sent).status == 400, (method, path)


def test_a_key_of_a_write_that_needs_none_is_echoed(served: Facade) -> None:
    headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": "k"}
    for _ in range(2):
        answer = served.api("PUT", "/kv/app/k", b"v", headers=headers)
        assert (answer.status, answer.headers["Idempotency-Key"]) == (200, "k")


def test_412_says_the_present_revision(served: Facade) -> None:
    job_id = submit(served)
    etag = served.api("GET", f"/jobs/{job_id}").headers["ETag"]
    for method, path in (
        ("POST", f"/jobs/{job_id}/cancel"),
        ("POST", f"/jobs/{job_id}/retry"),
        ("DELETE", f"/jobs/{job_id}"),
    ):
        answer = send(served, method, path, If_Match='"1"')
        assert (answer.status, f'"{answer.json["revision"]}"') == (412, etag), path
    minted = send(served, "POST", "/tokens", TOKEN)
    assert send(served, "DELETE", f"/tokens/{minted.json['id']}", If_Match='"1"').status == 412
    right = minted.headers["ETag"]
    assert send(served, "DELETE", f"/tokens/{minted.json['id']}", If_Match=right).status == 204


def test_if_match_of_anything_wants_it_to_be_there(served: Facade) -> None:
    binary = {"Content-Type": "application/octet-stream", "If-Match": "*"}
    gone = served.api("PUT", "/kv/app/k", b"1", headers=binary)
    assert (gone.status, "revision" in gone.json) == (412, False)
    served.api("PUT", "/kv/app/k", b"1", headers={"Content-Type": "application/octet-stream"})
    assert served.api("PUT", "/kv/app/k", b"2", headers=binary).status == 200


def test_a_read_that_is_known_is_304(served: Facade) -> None:
    job_id = submit(served)
    seen = served.api("GET", f"/jobs/{job_id}")
    for known in (seen.headers["ETag"], f'"1", W/{seen.headers["ETag"]}'):
        answer = served.api("GET", f"/jobs/{job_id}", headers={"If-None-Match": known})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == seen.headers["ETag"]
    served.do(served.gateway.run, job_id)
    changed = served.api("GET", f"/jobs/{job_id}", headers={"If-None-Match": seen.headers["ETag"]})
    assert (changed.status, changed.json["state"]) == (200, "succeeded")


def test_the_etag_of_a_fan_out_moves_with_its_tasks(served: Facade) -> None:
    job_id = submit(served, tasks=2)
    make_members(served, job_id, 2)
    before = served.api("GET", f"/jobs/{job_id}").headers["ETag"]
    served.do(served.gateway.start, job_id, 1)
    assert served.api("GET", f"/jobs/{job_id}").headers["ETag"] != before
