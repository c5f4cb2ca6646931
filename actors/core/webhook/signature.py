"""Standard Webhooks (https://www.standardwebhooks.com): what is signed, by which secret.

`v1,` and the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`; several signatures stand side by
side, so that a secret can be replaced while both are in use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from actors.errors import InvalidInput

__all__ = ["PREFIX", "key_of", "sign", "signed_headers"]

PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64


def key_of(secret: str) -> bytes:
    """Return the key that a `whsec_` secret stands for. Raises InvalidInput."""
    try:
        if not secret.startswith(PREFIX):
            raise ValueError
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidInput(
            "the secret is not whsec_ with base64 behind it",
            remedy="make one: whsec_$(openssl rand -base64 32)",
        ) from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise InvalidInput(f"a whsec_ secret has {_LEAST_BYTES} to {_MOST_BYTES} bytes")
    return key


def sign(key: bytes, id_: str, timestamp_s: int, body: bytes) -> str:
    """Return one signature."""
    signed = b".".join((id_.encode(), str(timestamp_s).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(
    secrets: Iterable[str], id_: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the headers of a delivery, signed by each secret. Raises InvalidInput."""
    headers = {"webhook-id": id_, "webhook-timestamp": str(timestamp_s)}
    signatures = [sign(key_of(secret), id_, timestamp_s, body) for secret in secrets]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})
