"""node/<id>: what a node is to the others beyond its present session."""

from __future__ import annotations

import msgspec

__all__ = ["NodeRecord"]


class NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    """Put by the node when it joins or changes; cordon and drain are put by an operator.

    `address` is where its cluster port is reached, "" when it only dials out; `key` its public
    CURVE key, `seal_key` its public X25519 key, empty while it has none. `drain_by_ms` is the
    deadline of a drain that is under way, 0 when there is none; `drain` is what it does with
    attempts that run then.
    """

    name: str
    address: str = ""
    http: str = ""
    key: bytes = b""
    seal_key: bytes = b""
    cordoned: bool = False
    drain: str = ""  # "", "finish" or "requeue"
    drain_by_ms: int = 0
    level: int = 1  # the highest value schema that it reads
    worker: bool = False  # it is never to vote
