"""Hooks of a real node: signed, tried again, disabled, never sent where they must not go."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hooks.receiver import Came, Receiver, receiving
from tests.integration.node_process import NodeProcess, Refused, running, until

BYTES = {"Content-Type": "application/octet-stream"}
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2))
ALLOWED = "JOBD_CFG_HOOKS__ALLOWED_NETWORKS"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("hooks") / "data"
    with running(data, "--slots", "2", environment={ALLOWED: "127.0.0.1/32"}) as started:
        for name, value in (("old", OLD), ("new", NEW)):
            started.call("PUT", f"/secrets/{name}", value.encode(), BYTES)
        yield started


def put(node: NodeProcess, name: str, on: Any, **webhook: Any) -> None:
    node.call("PUT", f"/hooks/{name}", {"on": on, "webhook": webhook})


def emit(node: NodeProcess, type_: str, **data: Any) -> str:
    return str(node.call("POST", "/events", {"type": type_, "data": data})["id"])


def delivery(node: NodeProcess, name: str, id_: str) -> dict[str, Any]:
    items = node.call("GET", f"/hooks/{name}/deliveries")["items"]
    return next((item for item in items if item["id"] == id_), {})


def came(receiver: Receiver, name: str, id_: str, times: int = 1) -> list[Came]:
    def there() -> list[Came] | None:
        found = receiver.of(f"msg_{name}_{id_}")
        return found if len(found) >= times else None

    found: list[Came] = until(there)
    return found


def test_an_event_is_delivered_once_signed_by_both_secrets(
    node: NodeProcess, receiver: Receiver
) -> None:
    put(
        node,
        "signed",
        {"type": "order:*", "filter": {"paid": True}},
        url=f"{receiver.url}/signed",
        secret=["old", "new"],
        headers={"X-Team": "a", "Authorization": {"secret": "new"}},
    )
    emit(node, "order:made", paid=False)
    id_ = emit(node, "order:made", paid=True, n=1)
    (request,) = came(receiver, "signed", id_)
    told = json.loads(request.body)
    assert (told["id"], told["type"], told["data"]) == (id_, "order:made", {"paid": True, "n": 1})
    stamp = request.headers["webhook-timestamp"]
    signed = f"msg_signed_{id_}.{stamp}.".encode() + request.body
    signatures = request.headers["webhook-signature"].split()
    for secret, signature in zip((OLD, NEW), signatures, strict=True):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert signature == f"v1,{made}"
    assert (request.headers["x-team"], request.headers["authorization"]) == ("a", NEW)
    until(lambda: delivery(node, "signed", id_).get("state") == "delivered")
    assert delivery(node, "signed", id_)["status"] == 204
    assert len([each for each in receiver.came if each.path == "/signed"]) == 1


def test_what_fails_is_tried_again_and_a_redelivery_has_the_same_id(
    node: NodeProcess, receiver: Receiver
) -> None:
    put(node, "failing", "fail:*", url=f"{receiver.url}/failing")
    receiver.answer = lambda _: (503, {})
    id_ = emit(node, "fail:x")
    until(lambda: delivery(node, "failing", id_).get("attempts") == 1)
    found = delivery(node, "failing", id_)
    assert (found["state"], found["status"]) == ("pending", 503)
    receiver.answer = lambda _: (200, {})
    node.call("POST", f"/hooks/failing/deliveries/{id_}/redeliver")
    came(receiver, "failing", id_, times=2)
    until(lambda: delivery(node, "failing", id_)["state"] == "delivered")
    with pytest.raises(Refused) as caught:
        node.call("POST", "/hooks/failing/deliveries/1-0/redeliver")
    assert caught.value.status == 404


def test_gone_disables_and_a_new_put_begins_with_what_happens_next(
    node: NodeProcess, receiver: Receiver
) -> None:
    put(node, "gone", "gone:*", url=f"{receiver.url}/gone")
    receiver.answer = lambda _: (410, {})
    emit(node, "gone:x")
    until(lambda: node.call("GET", "/hooks/gone")["disabled"])
    told = node.call("GET", "/events?types=jobd:hook:disabled")["items"]
    assert [event["subject"] for event in told] == ["hook/gone"]
    receiver.answer = lambda _: (200, {})
    missed = emit(node, "gone:x")
    put(node, "gone", "gone:*", url=f"{receiver.url}/gone")
    id_ = emit(node, "gone:x")
    came(receiver, "gone", id_)
    assert not receiver.of(f"msg_gone_{missed}")


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://127.0.0.2/", "loopback"),
        ("file:///etc/passwd", "http"),
    ],
)
def test_a_redirect_is_judged_like_the_first_url(
    node: NodeProcess, receiver: Receiver, target: str, cause: str
) -> None:
    name = f"moved-{cause}"
    put(node, name, "move:*", url=f"{receiver.url}/moved")
    receiver.answer = lambda _: (307, {"Location": target})
    id_ = emit(node, "move:x")
    until(lambda: delivery(node, name, id_).get("attempts") == 1)
    found = delivery(node, name, id_)
    assert (found["state"], found["status"]) == ("pending", None)
    assert cause in found["detail"]
    node.call("DELETE", f"/hooks/{name}")


def test_a_redirect_takes_no_secret_along(node: NodeProcess, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        put(
            node,
            "onward",
            "onward:*",
            url=f"{receiver.url}/onward",
            headers={"X-Key": {"secret": "new"}},
        )
        receiver.answer = lambda _: (308, {"Location": f"{elsewhere.url}/there"})
        id_ = emit(node, "onward:x")
        until(lambda: elsewhere.came)
        assert elsewhere.came[0].headers["webhook-id"] == f"msg_onward_{id_}"
        assert "x-key" not in elsewhere.came[0].headers
        assert "x-key" in receiver.of(f"msg_onward_{id_}")[0].headers
        receiver.answer = lambda _: (308, {"Location": "/again"})
        loop = emit(node, "onward:x")
        until(lambda: delivery(node, "onward", loop).get("attempts") == 1)
        assert "redirected" in delivery(node, "onward", loop)["detail"]
    receiver.answer = lambda _: (200, {})


def test_by_default_nothing_private_is_reached(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data", "--slots", "1") as closed:
        port = receiver.url.rpartition(":")[2]
        for name, host in (("address", "127.0.0.1"), ("name", "localhost")):
            put(closed, name, "x", url=f"http://{host}:{port}/closed")
        id_ = emit(closed, "x")
        for name in ("address", "name"):
            until(lambda n=name: delivery(closed, n, id_).get("attempts") == 1)  # type: ignore[misc]
            assert "loopback" in delivery(closed, name, id_)["detail"]
    assert not [each for each in receiver.came if each.path == "/closed"]


def test_a_node_killed_between_the_send_and_its_record_sends_the_same_id_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data", "--slots", "1", environment={ALLOWED: "127.0.0.1/32"}) as node:
        arrived, held = threading.Event(), threading.Event()

        def hold(_: Came) -> tuple[int, dict[str, str]]:
            if not arrived.is_set():
                arrived.set()
                held.wait(20)
            return 200, {}

        receiver.answer = hold
        put(node, "killed", "kill:*", url=f"{receiver.url}/killed")
        id_ = emit(node, "kill:x")
        assert arrived.wait(20)
        node.kill()
        held.set()
        node.start()
        first, second = came(receiver, "killed", id_, times=2)
        assert first.body == second.body
        until(lambda: delivery(node, "killed", id_)["state"] == "delivered")


def test_a_hook_starts_a_job_of_its_own_template(node: NodeProcess) -> None:
    shell = "cat $JOBD_INPUT"
    job = {"name": "react", "type": "command", "shell": shell}
    node.call("PUT", "/hooks/starter", {"on": "start:me", "job": job})
    id_ = emit(node, "start:me", n=7)

    def started() -> Any:
        return node.call("GET", "/jobs?name=react")["items"]

    (made,) = until(started)
    assert made["cause"] == {"kind": "hook", "id": id_, "depth": 0}
    until(lambda: node.call("GET", f"/jobs/{made['id']}")["state"] == "succeeded")
    text = "".join(record["text"] for record in node.logs(made["id"]))
    assert json.loads(text)["event"]["data"] == {"n": 7}
