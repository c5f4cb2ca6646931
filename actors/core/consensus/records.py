"""What a replica writes to its log, beside the batches of a node alone.

A record is msgpack behind the log's own kind. `epoch` tells records of different epochs apart.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.core.consensus.messages import CommandId, Quorum
from actors.model.epoch import Epoch

__all__ = [
    "ACCEPT",
    "BALLOT",
    "BATCH",
    "COMMIT",
    "EPOCH",
    "EXECUTE",
    "PROPOSE",
    "RECORDS",
    "RESERVE",
    "Committed",
    "Executed",
    "Known",
    "Reserved",
    "encode_record",
]

# Kinds of log records; 3 is left free (it was kept for a checkpoint mark, which the image is).
BATCH: Final = 1  # a command of a node alone: no struct, its bytes are the command
RESERVE: Final = 2
EPOCH: Final = 4
PROPOSE: Final = 5
ACCEPT: Final = 6
COMMIT: Final = 7
BALLOT: Final = 8
EXECUTE: Final = 9


class Reserved(msgspec.Struct, frozen=True, array_like=True):
    """The clock stays at or below `up_to` until the next one."""

    epoch: int
    up_to: int


class Known(msgspec.Struct, frozen=True, array_like=True):
    """All that must survive of an undecided command: proposed, accepted, or a ballot joined.

    `command` is empty when an earlier record has it. `joined`: the proposal was made for a
    recovery, not on the fast path. `seen_at_once`: this replica coordinates it, and its decision
    may be seen before it is durable.
    """

    epoch: int
    id: CommandId
    command: bytes
    quorum: Quorum
    proposal: int
    joined: bool
    ballot: int
    accepted_ballot: int
    accepted_ts: int
    seen_at_once: bool = False


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """A decision of this replica, durable before anybody sees it."""

    epoch: int
    id: CommandId
    ts: int


class Executed(msgspec.Struct, frozen=True, array_like=True):
    """The command at `index` of all; its bytes, unless an earlier record has them."""

    epoch: int
    index: int
    ts: int
    id: CommandId
    command: bytes


Record = Reserved | Known | Committed | Executed | Epoch
RECORDS: Final[dict[int, msgspec.msgpack.Decoder[Record]]] = {
    RESERVE: msgspec.msgpack.Decoder(Reserved),
    EPOCH: msgspec.msgpack.Decoder(Epoch),
    PROPOSE: msgspec.msgpack.Decoder(Known),
    ACCEPT: msgspec.msgpack.Decoder(Known),
    COMMIT: msgspec.msgpack.Decoder(Committed),
    BALLOT: msgspec.msgpack.Decoder(Known),
    EXECUTE: msgspec.msgpack.Decoder(Executed),
}
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_record(record: Record) -> bytes:
    """Return the payload of a log entry."""
    return _ENCODER.encode(record)
