"""Bytes of the nouns: one schema byte, then a msgpack array.

Arrays only grow at their end, so an older node reads what it knows and a newer one fills in
defaults. A value whose schema byte is above `SCHEMA` is left alone by whoever meets it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.model.client_key import ClientKey
from actors.model.hook import Delivery, HookRecord
from actors.model.idempotency import IdempotencyKey
from actors.model.job import Attempt, Job, Output, Permit, Task
from actors.model.join_token import JoinToken
from actors.model.leader import Leader
from actors.model.level import Level
from actors.model.node import NodeRecord
from actors.model.pipeline import Definition, Pipeline
from actors.model.run import Run, RunSlot, Step
from actors.model.schedule import Schedule
from actors.model.secret import SealKey, Secret
from actors.model.session import Session
from actors.model.spec import JobSpec
from actors.model.token import Token
from actors.model.trigger import TriggerRecord

__all__ = ["NOUNS", "SCHEMA", "decode", "encode", "is_readable"]

SCHEMA: Final = 1

NOUNS: Final[dict[str, Any]] = {
    "attempt": Attempt,
    "clientkey": ClientKey,
    "closed": bool,
    "cluster": Leader | Level,
    "definition": Definition | bytes,
    "delivery": Delivery,
    "hook": HookRecord,
    "idempotency": IdempotencyKey,
    "job": Job,
    "jointoken": JoinToken,
    "kv": bytes,
    "node": NodeRecord,
    "output": Output,
    "permit": Permit,
    "pipeline": Pipeline,
    "run": Run,
    "runslot": RunSlot,
    "schedule": Schedule,
    "sealkey": SealKey,
    "secret": Secret,
    "session": Session,
    "spec": JobSpec,
    "step": Step,
    "task": Task,
    "template": JobSpec,
    "token": Token,
    "trigger": TriggerRecord,
    "webhook": str,
}
_DECODERS: Final = {kind: msgspec.msgpack.Decoder(noun) for kind, noun in NOUNS.items()}
_ENCODER: Final = msgspec.msgpack.Encoder()
_SCHEMA_BYTE: Final = bytes([SCHEMA])


def encode(noun: Any) -> bytes:
    """Return the stored bytes of a noun."""
    return _SCHEMA_BYTE + _ENCODER.encode(noun)


def is_readable(value: bytes) -> bool:
    """Say whether this node knows the schema of a stored value."""
    return value[0] <= SCHEMA


def decode(kind: str, value: bytes) -> Any:
    """Return the noun that a key of this kind holds. Raises msgspec.DecodeError, ValueError."""
    if value[0] > SCHEMA:
        raise ValueError(f"schema {value[0]} of {kind} is newer than this node's {SCHEMA}")
    return _DECODERS[kind].decode(memoryview(value)[1:])
