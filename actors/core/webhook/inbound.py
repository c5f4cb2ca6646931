"""How senders prove a webhook: the schemes, over the raw bytes of the body.

Rules of this file:
W1  Nothing of a body is read before it is proven, and it is proven as it came.
W2  Comparisons take constant time; all given secrets are tried, two while one is replaced.
W3  A timestamp that is signed must be within WEBHOOK_WINDOW_S of now, either way.
W4  A delivery is known by something that its sender has signed, or with it: an id that anybody may
    change makes no second delivery of a captured one. Bearer and none sign nothing: they are known
    by the id that they give, if any.
W5  Why a request was refused is for the log, never for who sent it.

    scheme    proof                                                  delivery
    standard  webhook-signature over id.timestamp.body               webhook-id
    github    X-Hub-Signature-256 over body                          the signature
    stripe    Stripe-Signature t=…,v1=… over t.body                  the event's id
    slack     X-Slack-Signature over v0:timestamp:body               event_id, else the signature
    bearer    Authorization: Bearer SECRET                           webhook-id, if given
    none      nothing                                                webhook-id, if given
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from actors import limits
from actors.core.webhook.signature import key_of, sign
from actors.errors import InvalidInput

__all__ = ["SCHEMES", "Proven", "Scheme", "Unproven", "prove"]

Scheme = Literal["standard", "github", "stripe", "slack", "bearer", "none"]
SCHEMES: Final[tuple[str, ...]] = get_args(Scheme)
_ID_CHARS: Final = 256
_DIGITS: Final = 12


class Proven(NamedTuple):
    """It is from whom it should be. `delivery` "" is one that can't be told from others."""

    delivery: str


class Unproven(NamedTuple):
    """It is not; `why` is for the log."""

    why: str


def prove(
    scheme: str, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: int
) -> Proven | Unproven:
    """Prove a request. Names of headers may be in any case."""
    headers = {name.lower(): value for name, value in headers.items()}
    match scheme:
        case "standard":
            return _standard(secrets, headers, body, now_s)
        case "github":
            return _github(secrets, headers, body)
        case "stripe":
            return _stripe(secrets, headers, body, now_s)
        case "slack":
            return _slack(secrets, headers, body, now_s)
        case "bearer":
            return _bearer(secrets, headers)
        case "none":
            return Proven(_given_id(headers))
    return Unproven(f"the scheme {scheme} is not known")


def _standard(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: int
) -> Proven | Unproven:
    id_, stamp = _given_id(headers), headers.get("webhook-timestamp", "")
    if not id_ or "." in id_:
        return Unproven("webhook-id is missing, or no id")
    late = _out_of_window(stamp, now_s)
    if late:
        return Unproven(late)
    given = headers.get("webhook-signature", "").split()
    try:
        wanted = [sign(key_of(secret), id_, int(stamp), body) for secret in secrets]
    except InvalidInput as error:
        return Unproven(error.message)
    return Proven(id_) if _any_equal(given, wanted) else Unproven("no signature is right")


def _github(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> Proven | Unproven:
    given = headers.get("x-hub-signature-256", "")
    wanted = ["sha256=" + _hex(secret, body) for secret in secrets]
    return Proven(given) if _any_equal([given], wanted) else Unproven("no signature is right")


def _stripe(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: int
) -> Proven | Unproven:
    parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    late = _out_of_window(stamp, now_s)
    if late:
        return Unproven(late)
    given = [value for name, _, value in parts if name == "v1"]
    wanted = [_hex(secret, stamp.encode() + b"." + body) for secret in secrets]
    if not _any_equal(given, wanted):
        return Unproven("no signature is right")
    return Proven(_id_in(body, "id") or next(value for value in given if value in wanted))


def _slack(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: int
) -> Proven | Unproven:
    stamp = headers.get("x-slack-request-timestamp", "")
    late = _out_of_window(stamp, now_s)
    if late:
        return Unproven(late)
    given = headers.get("x-slack-signature", "")
    wanted = ["v0=" + _hex(secret, b"v0:" + stamp.encode() + b":" + body) for secret in secrets]
    if not _any_equal([given], wanted):
        return Unproven("no signature is right")
    return Proven(_id_in(body, "event_id") or given)


def _bearer(secrets: Sequence[str], headers: Mapping[str, str]) -> Proven | Unproven:
    kind, _, given = headers.get("authorization", "").partition(" ")
    known = kind.lower() == "bearer" and _any_equal([given.strip()], secrets)
    return Proven(_given_id(headers)) if known else Unproven("no secret is right")


def _given_id(headers: Mapping[str, str]) -> str:
    id_ = headers.get("webhook-id", "")
    return id_ if len(id_) <= _ID_CHARS and id_.isascii() and id_.isprintable() else ""


def _out_of_window(stamp: str, now_s: int) -> str:
    if not (stamp.isascii() and stamp.isdecimal()) or len(stamp) > _DIGITS:
        return "its timestamp is missing, or no time"
    off_s = abs(int(stamp) - now_s)
    return f"its timestamp is {off_s} s off" if off_s > limits.WEBHOOK_WINDOW_S else ""


def _any_equal(given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Compare all with all: how long it takes says nothing of which was near (W2)."""
    equal = False
    for one in given:
        for other in wanted:
            equal |= hmac.compare_digest(one.encode(), other.encode())
    return equal


def _hex(secret: str, signed: bytes) -> str:
    return hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def _id_in(body: bytes, key: str) -> str:
    """Return an id that stands in a body that is proven."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and len(found) <= _ID_CHARS else ""
