"""A one-time token for a node that is to join: `jobdjoin_<id>_<secret>_<key>`.

The secret is 32 bytes in hexadecimal digits: where links are encrypted it is the secret key that
the newcomer comes with. The key is the public one of the node that made the token, "" without
encryption. The store holds only the secret's hash.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, NamedTuple

import msgspec

from actors.model.token import hash_secret

__all__ = ["JoinToken", "JoinTokenText", "format_join_token", "parse_join_token"]

_TEXT: Final = re.compile(r"jobdjoin_([0-9a-z]+)_([0-9a-f]{64})_([0-9a-f]{64})?")


class JoinToken(msgspec.Struct, frozen=True, array_like=True):
    """jointoken/<id>: deleted by the join. `key` is the public key of its secret, if it has one."""

    secret_hash: bytes
    created_ms: int
    expires_ms: int
    key: bytes = b""

    def accepts(self, secret: str, now_ms: int) -> bool:
        """Say whether the secret is this token's and it is still valid; in constant time."""
        same = hmac.compare_digest(self.secret_hash, hash_secret(secret))
        return same and now_ms < self.expires_ms


class JoinTokenText(NamedTuple):
    """The parts of a token's text."""

    id: str
    secret: str
    key: str


def format_join_token(text: JoinTokenText) -> str:
    """Return the text that the operator carries to the new node."""
    return f"jobdjoin_{text.id}_{text.secret}_{text.key}"


def parse_join_token(text: str) -> JoinTokenText | None:
    """Return the parts, or None when the text has another form."""
    found = _TEXT.fullmatch(text.strip())
    return JoinTokenText(found[1], found[2], found[3] or "") if found else None
