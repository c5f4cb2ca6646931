"""Writes that a repeat must not make twice, though they make no job: events and tokens.

The request's idempotency key is put in the very transaction of the write, under its absence, so
the store arbitrates between a request and its repeat at whatever node. A key that the server minted
is kept for MINTED_KEY_TTL_S only: its one use is to send a request again whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from actors import limits
from actors.core.store.state import State
from actors.core.store.txn import Txn, absent, at
from actors.errors import Busy, IdempotencyMismatch
from actors.model import keys
from actors.model.codec import encode
from actors.model.idempotency import IdempotencyKey, hash_key
from actors.runtime import Clock
from jobd.api.gateway import RequestKey, Written
from jobd.node.writer import Writer

__all__ = ["Repeats", "check_body", "check_room"]


class _Replayed(NamedTuple):
    revision: int
    made: str


class Repeats:
    """Makes each keyed write once; with what it writes by, for who also writes without a key."""

    def __init__(
        self, state: State, writer: Writer, *, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self.state = state
        self.writer = writer
        self.clock = clock
        self.new_id = new_id

    async def write(
        self, decide: Callable[[], Txn], request: RequestKey, *, made: str = ""
    ) -> tuple[Written, str]:
        """Write what `decide` says, or replay: return it with the id of what was made.

        Raises IdempotencyMismatch, InFlight, Busy (too many keys), and what a write raises.
        """
        owner, key, ttl_s = request.owner, request.key, limits.IDEMPOTENCY_TTL_S
        if key is None:
            key, ttl_s = self.new_id(), limits.MINTED_KEY_TTL_S
        name = keys.idempotency(owner, hash_key(key))

        def decide_once() -> Txn | _Replayed:
            now_ms = self.clock.now_ms()
            held = self.state.get(name)
            if held is not None and held.noun.expires_ms > now_ms:
                check_body(key, held.noun.body_hash, request.body_hash)
                return _Replayed(held.revision, held.noun.made)
            check_room(self.state, owner)
            txn = decide()
            record = IdempotencyKey(made, request.body_hash, now_ms + ttl_s * 1000)
            free = absent(name) if held is None else at(name, held.revision)
            return msgspec.structs.replace(
                txn, checks=(*txn.checks, free), ops=(*txn.ops, (name, encode(record)))
            )

        done = await self.writer.write(decide_once, owner=owner, key=key)
        if isinstance(done, _Replayed):
            return Written(done.revision, True, key), done.made
        return Written(done, False, key), made


def check_room(state: State, owner: str) -> None:
    """Refuse one more key of an owner that has as many as it may. Raises Busy."""
    if state.count(f"idempotency/{owner}/") >= limits.IDEMPOTENCY_KEYS_PER_TOKEN:
        whose = "specs have" if owner == "spec" else "this token has"
        raise Busy(
            f"{whose} {limits.IDEMPOTENCY_KEYS_PER_TOKEN} idempotency keys in use",
            remedy="wait until older ones run out, or let the server mint the key",
        )


def check_body(key: str, before: str, now: str) -> None:
    """Refuse a key that came with another body before. Raises IdempotencyMismatch."""
    if before != now:
        raise IdempotencyMismatch(
            f"the idempotency key {key!r} was used with another body",
            remedy="send the same body again, or take a new key",
        )
