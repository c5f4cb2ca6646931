"""The interface of a replicated group: `step(input, now) -> Effects`, sans-IO.

Actors see only this, whatever orders behind it. Inputs say what happened; effects say what is to
be done, in the order of their fields:

    append   written to the log and made durable; only then
    apply    these batches are applied to the state, in this order, and the tickets answered
    refuse   these tickets are answered with the error, their transactions were not ordered

The driver answers each `append` with `Synced` or `NotSynced`.
"""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple, Protocol

import msgspec

from actors import limits
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.errors import InvalidInput, JobdError, TooLarge

__all__ = [
    "BATCH",
    "Apply",
    "Effects",
    "Group",
    "Input",
    "NotSynced",
    "Submit",
    "Synced",
    "check_bounds",
]

# Kinds of log records. All are reserved from the start, so that a log never has to be rewritten.
BATCH: Final = 1
RESERVED_KINDS: Final = {
    2: "reserve",
    3: "checkpoint mark",
    4: "epoch",
    5: "propose",
    6: "accept",
    7: "commit",
    8: "ballot",
}


class Submit(msgspec.Struct, frozen=True):
    """Order this transaction; its answer goes to the ticket."""

    ticket: int
    txn: Txn


class Synced(msgspec.Struct, frozen=True):
    """Everything up to this index is durable."""

    system_lane: ClassVar[bool] = True  # never behind, nor refused for, what waits for it
    index: int


class NotSynced(msgspec.Struct, frozen=True):
    """The records above `index` were refused with nothing written (the disk is full)."""

    system_lane: ClassVar[bool] = True
    index: int
    error: JobdError


class Apply(msgspec.Struct, frozen=True):
    """One ordered, durable batch; `tickets[i]` waits for the result of `txns[i]`."""

    index: int
    txns: tuple[Txn, ...]
    tickets: tuple[int, ...]


class Effects(NamedTuple):
    """What a step asks for; the order of the fields is the order of doing."""

    append: tuple[LogEntry, ...] = ()
    apply: tuple[Apply, ...] = ()
    refuse: tuple[tuple[int, JobdError], ...] = ()


Input = Submit | Synced | NotSynced


class Group(Protocol):
    """What orders transactions."""

    def step(self, event: Input) -> Effects:
        """Take one input and say what is to be done."""


_ENCODER: Final = msgspec.msgpack.Encoder()


def check_bounds(txn: Txn) -> bytes:
    """Return the encoded transaction. Raises TooLarge, InvalidInput when over a limit."""
    if len(txn.ops) > limits.TXN_OPS:
        raise TooLarge(f"a transaction of {len(txn.ops)} ops is over TXN_OPS ({limits.TXN_OPS})")
    for key, value in txn.ops:
        if len(key) > limits.KEY_BYTES:
            raise InvalidInput(f"a key of {len(key)} bytes is over KEY_BYTES ({limits.KEY_BYTES})")
        if value is not None and len(value) > limits.VALUE_BYTES:
            raise TooLarge(
                f"the value of {key} has {len(value)} bytes, over VALUE_BYTES "
                f"({limits.VALUE_BYTES})"
            )
    try:
        encoded = _ENCODER.encode(txn)
    except (OverflowError, RecursionError, TypeError, ValueError) as error:
        # Of an event's data, the one part without types: nothing that comes in may end the replica.
        raise InvalidInput(f"it can't be stored: {error}") from None
    if len(encoded) > limits.TXN_BYTES:
        raise TooLarge(
            f"a transaction of {len(encoded)} bytes is over TXN_BYTES ({limits.TXN_BYTES})"
        )
    return encoded
