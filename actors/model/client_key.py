"""clientkey/<name>: a client that every node's cluster port lets in by its key."""

from __future__ import annotations

import msgspec

__all__ = ["ClientKey"]


class ClientKey(msgspec.Struct, frozen=True, array_like=True):
    """Put and deleted by an operator. `key` is the client's public CURVE key."""

    key: bytes
    created_ms: int
