"""Signatures of both directions, by the vectors that the schemes publish."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from actors.core.webhook.inbound import Proven, Unproven, prove
from actors.core.webhook.signature import key_of, sign, signed_headers
from actors.errors import InvalidInput

# github.com/standard-webhooks/standard-webhooks, its libraries' tests
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
STAMP, BODY = 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STAMP),
    "webhook-signature": SIGNATURE,
}
# docs.github.com: validating webhook deliveries
GITHUB = (
    "It's a Secret to Everybody",
    b"Hello, World!",
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
)
# api.slack.com: verifying requests from Slack
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F"
    b"T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK = {
    "X-Slack-Request-Timestamp": "1531420618",
    "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def proof(
    scheme: str,
    secrets: list[str],
    headers: dict[str, str],
    body: bytes = BODY,
    now_s: int = STAMP,
) -> str | None:
    """Return the delivery that is proven, None where nothing is."""
    found = prove(scheme, secrets, headers, body, now_s)
    assert isinstance(found, Proven | Unproven)
    return found.delivery if isinstance(found, Proven) else None


def test_the_published_vector_is_what_we_sign() -> None:
    made = signed_headers([WHSEC], STANDARD["webhook-id"], STAMP, BODY)
    assert made == STANDARD


def test_two_secrets_sign_side_by_side_and_either_proves() -> None:
    made = signed_headers([OTHER, WHSEC], STANDARD["webhook-id"], STAMP, BODY)
    assert made["webhook-signature"].split()[1] == SIGNATURE
    for secret in (WHSEC, OTHER):
        assert proof("standard", [secret], made) == STANDARD["webhook-id"]
    assert proof("standard", [OTHER, WHSEC], STANDARD) == STANDARD["webhook-id"]


@pytest.mark.parametrize("text", ["abc", "whsec_", "whsec_AAAA", "whsec_%%%", "whsec_" + "A" * 88])
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        key_of(text)


@pytest.mark.parametrize(
    ("changed", "body", "now_s"),
    [
        ({"webhook-id": "msg_other"}, BODY, STAMP),
        ({"webhook-id": ""}, BODY, STAMP),
        ({"webhook-id": "msg.p5"}, BODY, STAMP),
        ({"webhook-timestamp": str(STAMP + 1)}, BODY, STAMP),
        ({"webhook-timestamp": "+" + str(STAMP)}, BODY, STAMP),
        ({"webhook-timestamp": "9" * 40}, BODY, STAMP),
        ({"webhook-timestamp": ""}, BODY, STAMP),
        ({"webhook-signature": SIGNATURE[:-2] + "A="}, BODY, STAMP),
        ({"webhook-signature": SIGNATURE.replace("v1", "v1a")}, BODY, STAMP),
        ({"webhook-signature": "v1,é"}, BODY, STAMP),
        ({"webhook-signature": ""}, BODY, STAMP),
        ({}, BODY + b" ", STAMP),
        ({}, BODY, STAMP + 301),
        ({}, BODY, STAMP - 301),
    ],
)
def test_nothing_else_is_proven(changed: dict[str, str], body: bytes, now_s: int) -> None:
    assert proof("standard", [WHSEC], STANDARD | changed, body, now_s) is None
    assert proof("standard", [OTHER], STANDARD) is None


def test_the_window_is_five_minutes_either_way() -> None:
    assert proof("standard", [WHSEC], STANDARD, now_s=STAMP + 300)
    assert proof("standard", [WHSEC], STANDARD, now_s=STAMP - 300)


def test_github_signs_the_body_and_its_delivery_is_the_signature() -> None:
    secret, body, signature = GITHUB
    headers = {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": "anything"}
    assert proof("github", [secret], headers, body) == signature
    assert proof("github", [secret, "new"], headers | {"X-GitHub-Delivery": "b"}, body) == signature
    assert proof("github", ["new"], headers, body) is None
    assert proof("github", [secret], headers, body + b"!") is None
    assert proof("github", [secret], {}, body) is None


def test_slack_signs_time_and_body() -> None:
    assert proof("slack", [SLACK_SECRET], SLACK, SLACK_BODY, 1531420618)
    assert proof("slack", [SLACK_SECRET], SLACK, SLACK_BODY, 1531420618 + 301) is None
    assert proof("slack", ["other"], SLACK, SLACK_BODY, 1531420618) is None


def test_stripe_tells_a_repeat_by_the_id_of_its_event() -> None:
    body = json.dumps({"id": "evt_1", "pending_webhooks": 1}).encode()

    def signed(stamp: int, by: str = "whsec_test") -> dict[str, str]:
        made = hmac.new(by.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={stamp},v1=00,v1={made},v0=x"}

    assert proof("stripe", ["whsec_test"], signed(STAMP), body) == "evt_1"
    assert proof("stripe", ["whsec_test"], signed(STAMP + 9), body, STAMP + 9) == "evt_1"
    assert proof("stripe", ["whsec_test"], signed(STAMP), body, STAMP + 301) is None
    assert proof("stripe", ["whsec_test"], signed(STAMP, "other"), body) is None
    assert proof("stripe", ["whsec_test"], {"Stripe-Signature": "t=1"}, body) is None


def test_a_bearer_is_compared_whole() -> None:
    given = {"Authorization": "Bearer open sesame", "webhook-id": "7"}
    assert proof("bearer", ["open sesame"], given) == "7"
    assert proof("bearer", ["open"], given) is None
    assert proof("bearer", ["open sesame"], {"Authorization": "Basic open sesame"}) is None
    assert proof("bearer", ["open sesame"], {}) is None


def test_none_proves_everybody_and_a_scheme_unknown_nobody() -> None:
    assert proof("none", [], {}) == ""
    assert proof("nome", [], {}) is None


def test_what_is_signed_is_exact() -> None:
    key = key_of(WHSEC)
    assert sign(key, "a", 1, b"b") != sign(key, "a.1", 1, b"b")
