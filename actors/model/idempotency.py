"""A client's own idempotency key, kept until its time is over."""

from __future__ import annotations

import hashlib

import msgspec

__all__ = ["IdempotencyKey", "hash_key"]


class IdempotencyKey(msgspec.Struct, frozen=True, array_like=True):
    """idempotency/<owner>/<hash>: what the key made (a job's or token's id), of which body."""

    made: str
    body_hash: str
    expires_ms: int


def hash_key(text: str) -> str:
    """Return what stands for a key in the store."""
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"jobd-idem").hexdigest()
