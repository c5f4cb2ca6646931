"""Who a request comes from, and what it may do.

A token's scopes are not nested, except that `admin` holds them all: `read` sees, `run` submits,
cancels and retries jobs, `write` changes anything else, `admin` changes who may.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from actors.core.view import View
from actors.model import keys
from actors.model.token import SCOPES, parse_token

__all__ = ["LOCAL", "Principal", "Scope", "authenticate", "is_valid"]

Scope = Literal["public", "read", "run", "write", "admin"]


class Principal(NamedTuple):
    """The token that a request came with."""

    token_id: str
    scopes: tuple[str, ...]

    def may(self, scope: str) -> bool:
        """Say whether the principal has a scope."""
        return scope in self.scopes or "admin" in self.scopes


LOCAL: Final = Principal("local", SCOPES)  # who everyone is while authentication is off


def authenticate(view: View, authorization: str | None, now_ms: int) -> Principal | None:
    """Return the principal of an `Authorization: Bearer` header, None when there is no such."""
    scheme, _, text = (authorization or "").partition(" ")
    parsed = parse_token(text.strip()) if scheme.lower() == "bearer" else None
    if parsed is None:
        return None
    token_id, secret = parsed
    entry = view.get(keys.token(token_id))
    if entry is None or not entry.noun.accepts(secret, now_ms):
        return None
    return Principal(token_id, entry.noun.scopes)


def is_valid(view: View, principal: Principal, now_ms: int) -> bool:
    """Say whether the token of an earlier `authenticate` still is one."""
    if principal.token_id == LOCAL.token_id:
        return True
    entry = view.get(keys.token(principal.token_id))
    return entry is not None and not entry.noun.has_expired(now_ms)
