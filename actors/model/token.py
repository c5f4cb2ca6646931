"""An access token: `jobd_<id>_<secret>`; the store holds only the secret's hash."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import msgspec

__all__ = ["SCOPES", "Token", "format_token", "hash_secret", "parse_token"]

SCOPES: Final = ("read", "run", "write", "admin")


class Token(msgspec.Struct, frozen=True, array_like=True):
    """token/<id>. `expires_ms` 0 is never."""

    name: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int = 0

    def accepts(self, secret: str, now_ms: int) -> bool:
        """Say whether the secret is this token's and the token is still valid; in constant time."""
        same = hmac.compare_digest(self.secret_hash, hash_secret(secret))
        return same and not self.has_expired(now_ms)

    def has_expired(self, now_ms: int) -> bool:
        """Say whether its time is over."""
        return 0 < self.expires_ms <= now_ms


def hash_secret(secret: str) -> bytes:
    """Hash a secret of 256 random bits; a slow hash adds nothing to that."""
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"jobd-token").digest()


def format_token(token_id: str, secret: str) -> str:
    """Return the text that its owner keeps."""
    return f"jobd_{token_id}_{secret}"


def parse_token(text: str) -> tuple[str, str] | None:
    """Return (id, secret), or None when the text has another form."""
    prefix, _, rest = text.partition("_")
    token_id, _, secret = rest.partition("_")
    return (token_id, secret) if prefix == "jobd" and token_id and secret else None
