"""A client's own idempotency key, kept until its time is over."""

from __future__ import annotations

import msgspec

__all__ = ["IdempotencyKey"]


class IdempotencyKey(msgspec.Struct, frozen=True, array_like=True):
    """idempotency/<owner>/<hash>: which job the key made, and of which body."""

    job_id: str
    body_hash: str
    expires_ms: int
