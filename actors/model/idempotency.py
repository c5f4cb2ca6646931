"""A client's own idempotency key, kept until its time is over."""

from __future__ import annotations

import msgspec

__all__ = ["IdempotencyKey"]


class IdempotencyKey(msgspec.Struct, frozen=True, array_like=True):
    """idempotency/<owner>/<hash>: what the key made (a job's or token's id), of which body."""

    made: str
    body_hash: str
    expires_ms: int
