"""Who a message from another process comes from, and what it may do."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Principal"]


class Principal(NamedTuple):
    """The credential of a link: its name and its scopes; `admin` holds them all."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Say whether the principal has a scope."""
        return scope in self.scopes or "admin" in self.scopes
