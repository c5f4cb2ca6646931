"""Triggers, hooks and inbound webhooks over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from actors import limits
from actors.core.store.txn import Txn
from actors.core.webhook.signature import key_of, sign
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event
from actors.model.hook import Delivery
from actors.model.spec import JobSpec
from actors.model.target import Target
from actors.model.trigger import TriggerRecord, WebhookSource
from tests.unit.http.facade import Answer, Facade
from tests.unit.http.memory_gateway import NOW_MS

OLD, NEW = ("whsec_" + base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2))
BYTES = {"Content-Type": "application/octet-stream"}
HOOK = {"on": ["jobd:job:failed", "order:*"], "webhook": {"url": "https://example.com/x"}}


def secret(served: Facade, name: str, value: str) -> None:
    assert served.api("PUT", f"/secrets/{name}", value.encode(), headers=BYTES).status == 200


def webhook(served: Facade, scheme: str = "standard", **more: Any) -> None:
    auth = {"scheme": scheme} | ({"secret": ["old", "new"]} if scheme != "none" else {})
    source = {"path": "in", "auth": auth, **more.pop("webhook", {})}
    body = {"webhook": source, "emit": "got:it"} | more
    answer = served.api("PUT", "/triggers/in", body)
    assert answer.status == 200, answer.body


@pytest.fixture
def proven(served: Facade) -> Facade:
    """A facade with a webhook `in` by Standard Webhooks, and its two secrets."""
    secret(served, "old", OLD)
    secret(served, "new", NEW)
    webhook(served)
    return served


def post(
    served: Facade, body: bytes = b'{"n": 1}', id_: str = "m1", key: str = OLD, at: int = 0
) -> Answer:
    stamp = NOW_MS // 1000 + at
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(key_of(key), id_, stamp, body),
        "Content-Type": "application/json",
    }
    return send(served, "in", body, headers)


def send(served: Facade, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send a webhook, as somebody without a token."""
    return served.api("POST", f"/webhooks/{path}", body, headers=headers, token=None)


def events(served: Facade, glob: str = "got:*") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = served.api("GET", f"/events?types={glob}").json["items"]
    return items


def test_a_proven_webhook_emits_what_its_trigger_says(proven: Facade) -> None:
    for id_, key in (("a", OLD), ("b", NEW)):
        answer = post(proven, id_=id_, key=key)
        assert (answer.status, answer.json["result"]) == (202, "emitted")
    first, second = events(proven)
    assert answer.json["event_id"] == second["id"]
    assert (first["subject"], first["data"]) == ("webhook/in", {"n": 1})


def test_a_repeated_delivery_answers_what_the_first_did(proven: Facade) -> None:
    first, again = post(proven), post(proven, b'{"n": 1, "retries": 1}', at=20)
    assert (first.status, again.status) == (202, 200)
    assert first.json["event_id"] == again.json["event_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(events(proven)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "whsec_" + base64.b64encode(bytes(32)).decode()},
        {"at": -301},
        {"at": 301},
    ],
)
def test_what_is_not_proven_is_refused_without_a_reason(
    proven: Facade, wrong: dict[str, Any]
) -> None:
    answer = post(proven, **wrong)
    assert answer.status == 401
    assert answer.json["detail"] == "the webhook is refused"
    assert not events(proven)
    assert proven.gateway.hooks.outcomes == {"refused": 1}


def test_a_forger_has_to_wait(proven: Facade) -> None:
    statuses = {post(proven, at=900).status for _ in range(60)}
    assert statuses == {401, 429}
    assert post(proven).status == 202  # whoever proves what it sends does not


def test_a_body_is_bounded_before_it_is_looked_at(proven: Facade) -> None:
    assert post(proven, b"x" * (limits.WEBHOOK_BYTES + 1)).status == 413
    assert post(proven, b'"' + b"x" * (limits.WEBHOOK_BYTES - 2) + b'"').status == 202


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"[" * 50 + b"]" * 50, b"\xff"])
def test_what_is_proven_and_makes_no_sense_is_said(proven: Facade, body: bytes) -> None:
    assert post(proven, body).status == 400


def test_only_what_its_filter_lets_through_does_anything(proven: Facade) -> None:
    webhook(proven, webhook={"filter": {"body.n": [1, 2]}})
    assert post(proven, b'{"n": 3}', "a").json["result"] == "ignored"
    assert post(proven, b'{"n": 2}', "b").json["result"] == "emitted"


def test_github_names_the_event_by_its_header(served: Facade) -> None:
    secret(served, "old", "hush")
    secret(served, "new", "shush")
    webhook(served, "github", emit="github:${headers.x-github-event}:${body.action}")
    body = b'{"action": "opened"}'
    made = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    headers = {
        "X-Hub-Signature-256": f"sha256={made}",
        "X-GitHub-Event": "issues",
        "Content-Type": "application/json",
    }
    assert send(served, "in", body, headers).status == 202
    (event,) = events(served, "github:*")
    assert (event["type"], event["data"]) == ("github:issues:opened", {"action": "opened"})
    headers["X-GitHub-Event"] = "with space"
    again = send(served, "in", body, headers)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_slack_is_shown_that_this_is_its_receiver(served: Facade) -> None:
    secret(served, "old", "hush")
    secret(served, "new", "shush")
    webhook(served, "slack")
    body, stamp = b'{"type": "url_verification", "challenge": "3eZbrw1a"}', str(NOW_MS // 1000)
    made = hmac.new(b"hush", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={made}"}
    answer = send(served, "in", body, headers)
    assert (answer.status, answer.json) == (200, {"challenge": "3eZbrw1a"})


def test_none_takes_everything_and_knows_a_repeat_by_an_id_only(served: Facade) -> None:
    webhook(served, "none")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(2):
        assert send(served, "in", b"a=1&b=", form).status == 202
    named = {"Content-Type": "text/plain", "webhook-id": "x"}
    statuses = [send(served, "in", b"text", named).status for _ in range(2)]
    assert statuses == [202, 200]
    assert [event["data"] for event in events(served)] == [
        {"a": "1", "b": ""}, {"a": "1", "b": ""}, {"body": "text"},
    ]  # fmt: skip


def test_a_job_gets_the_request_as_its_input_and_its_end_can_be_waited_for(served: Facade) -> None:
    gateway = served.gateway
    spec = JobSpec(name="deploy", type="command", argv=("true",))
    record = TriggerRecord(
        principal="t",
        created_ms=1,
        updated_ms=1,
        target=Target("job", "deploy"),
        webhook=WebhookSource("dep", "none"),
    )
    ops = (
        (keys.template("deploy"), encode(spec)),
        (keys.trigger("deploy"), encode(record)),
        (keys.webhook("dep"), encode("deploy")),
    )
    gateway.commit(Txn((), ops))
    headers = {"Content-Type": "application/json", "webhook-id": "w", "X-Secret-Token": "no"}
    headers |= {"X-Yes": "1"}
    answer = send(served, "dep", b'{"ref": "main"}', headers)
    job = served.api("GET", f"/jobs/{answer.json['job_id']}").json
    assert job["cause"] == {"kind": "webhook", "id": "dep/w", "depth": 0}
    told = job["spec"]["input"]["webhook"]
    assert told["body"] == {"ref": "main"}
    assert told["headers"]["x-yes"] == "1"
    assert "x-secret-token" not in told["headers"]


def test_a_path_that_is_nobodys_is_not_found(served: Facade) -> None:
    assert send(served, "nobody", b"", {}).status == 404
    assert send(served, "No%20name", b"", {}).status == 400


# -- triggers


def test_triggers_are_put_shown_listed_and_deleted(proven: Facade) -> None:
    shown = proven.api("GET", "/triggers/in").json
    assert shown["webhook"]["secrets"] == ["old", "new"]
    assert (shown["kind"], shown["emits"], shown["starts"]) == ("webhook", "got:it", None)
    assert [item["name"] for item in proven.api("GET", "/triggers").json["items"]] == ["in"]
    stale = {"If-Match": '"1"'}
    assert proven.api("DELETE", "/triggers/in", headers=stale).status == 412
    assert proven.api("DELETE", "/triggers/in").status == 204
    assert proven.api("GET", "/triggers/in").status == 404
    assert post(proven).status == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.event"),
        ({"webhook": {"path": "x", "auth": {"scheme": "none"}}}, "$.emit"),
        ({"webhook": {"path": "x", "auth": {"scheme": "github"}}, "emit": "a"}, "secret"),
        ({"webhook": {"path": "x", "auth": {"scheme": "nome"}}, "emit": "a"}, "scheme"),
        ({"webhook": {"path": "x"}, "emit": "a"}, "auth"),
        ({"webhook": {"path": "X", "auth": {"scheme": "none"}}, "emit": "a"}, "path"),
        (
            {"webhook": {"path": "x", "auth": {"scheme": "none"}, "wait": "31s"}, "emit": "a"},
            "wait",
        ),
        ({"webhook": {"path": "x", "auth": {"scheme": "none"}}, "emit": "jobd:a"}, "emit"),
        ({"event": "a", "emit": "b"}, "emit"),
        (
            {"webhook": {"path": "x", "auth": {"scheme": "bearer", "secret": "no"}}, "emit": "a"},
            "$",
        ),
    ],
)
def test_what_makes_no_trigger_is_told_with_its_place(
    served: Facade, body: dict[str, Any], path: str
) -> None:
    answer = served.api("PUT", "/triggers/t", body)
    assert answer.status == 422, answer.body
    assert any(path in problem["path"] for problem in answer.json["errors"])


# -- hooks


def test_hooks_are_put_shown_listed_and_deleted(served: Facade) -> None:
    text = b"on: [jobd:job:failed, 'order:*']\nwebhook: {url: https://example.com/x}\n"
    yaml = {"Content-Type": "application/yaml"}
    put = served.api("PUT", "/hooks/h", text, headers=yaml)
    assert put.status == 200, put.body
    shown = served.api("GET", "/hooks/h").json
    assert shown["spec"] == HOOK
    assert shown["event"] == {"types": HOOK["on"], "filter": {}}
    assert (shown["format"], shown["disabled"]) == ("cloudevents", None)
    assert served.api("PUT", "/hooks/h", HOOK, headers={"If-None-Match": "*"}).status == 412
    assert served.api("PUT", "/hooks/h", HOOK | {"name": "g"}).status == 422
    assert [item["name"] for item in served.api("GET", "/hooks").json["items"]] == ["h"]
    assert served.api("DELETE", "/hooks/h").status == 204
    assert served.api("DELETE", "/hooks/h").status == 404


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"on": None}, "on"),
        ({"webhook": None}, "webhook"),
        ({"pipeline": "p"}, "pipeline"),
        ({"webhook": {"url": "http://user@example.com"}}, "url"),
        ({"webhook": {"url": "http://127.1/"}}, "url"),
        ({"webhook": {"url": "https://e.com", "body": {"a": "${env.HOME}"}}}, "body"),
        ({"webhook": {"url": "https://e.com", "format": "slack", "body": {}}}, "body"),
        ({"webhook": {"url": "https://e.com", "headers": {"webhook-id": "x"}}}, "headers"),
        ({"webhook": {"url": "https://e.com", "headers": {"a": "b\r\nc: d"}}}, "headers"),
        ({"webhook": {"url": "https://e.com", "timeout": "31s"}}, "timeout"),
        ({"webhook": {"url": "https://e.com", "secret": "missing"}}, "$"),
        ({"filter": {"a": {"b": 1}}}, "filter"),
    ],
)
def test_what_makes_no_hook_is_told_with_its_place(
    served: Facade, change: dict[str, Any], path: str
) -> None:
    answer = served.api("PUT", "/hooks/h", HOOK | change)
    assert answer.status == 422, answer.body
    assert any(path in problem["path"] for problem in answer.json["errors"])


def test_a_hook_has_bounds(served: Facade, monkeypatch: pytest.MonkeyPatch) -> None:
    long = HOOK | {"webhook": {"url": "https://e.com", "body": "x" * limits.HOOK_BYTES}}
    assert served.api("PUT", "/hooks/h", long).status == 413
    monkeypatch.setattr(limits, "HOOKS", 0)
    assert served.api("PUT", "/hooks/h", HOOK).status == 429


def test_the_ledger_is_read_and_sent_again_from(served: Facade) -> None:
    served.api("PUT", "/hooks/h", HOOK)
    event = Event(7, 1, NOW_MS, "order:made", "s", {})
    record = Delivery(
        event=event, state="failed", created_ms=NOW_MS, due_ms=0, attempts=8, tries=8, status=500
    )
    served.gateway.commit(Txn((), ((keys.delivery("h", 7, 1), encode(record)),)))
    (item,) = served.api("GET", "/hooks/h/deliveries").json["items"]
    assert (item["id"], item["webhook_id"]) == ("7-1", "msg_h_7-1")
    assert (item["state"], item["attempts"], item["status"]) == ("failed", 8, 500)
    assert served.api("POST", "/hooks/h/deliveries/7-1/redeliver").status == 202
    (item,) = served.api("GET", "/hooks/h/deliveries").json["items"]
    assert (item["state"], item["attempts"]) == ("pending", 8)
    assert served.api("POST", "/hooks/h/deliveries/8-1/redeliver").status == 404
    assert served.api("POST", "/hooks/h/deliveries/x/redeliver").status == 400
    assert served.api("GET", "/hooks/g/deliveries").status == 404


def test_nothing_of_a_secret_is_shown(proven: Facade) -> None:
    body = HOOK | {
        "webhook": {
            "url": "https://e.com",
            "secret": "old",
            "headers": {"Authorization": {"secret": "new"}},
        }
    }
    proven.api("PUT", "/hooks/h", body)
    for path in ("/hooks/h", "/hooks", "/triggers/in", "/triggers"):
        text = json.dumps(proven.api("GET", path).json)
        assert OLD not in text
        assert NEW not in text
