"""What the image holds of consensus beside the state: where in the order it is.

There are no promises in it: these are the replica's own, and a snapshot for another node is the
same bytes without the reservation.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.core.consensus.executed_ids import Intervals
from actors.core.consensus.messages import CommandId
from actors.errors import Corrupt
from actors.model.epoch import Epoch

__all__ = ["Position", "adopt", "decode_position", "encode_position", "without_promises"]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """`index` commands are executed, of the present epoch those in `ids`, `last` the last of them.

    `reserved` is at least this replica's clock of that epoch.
    """

    epoch: Epoch
    index: int
    last: tuple[int, CommandId]
    ids: Intervals
    reserved: int


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Position)


def encode_position(position: Position) -> bytes:
    """Return the bytes for the image."""
    return _ENCODER.encode(position)


def decode_position(data: bytes) -> Position:
    """Return what an image says. Raises Corrupt."""
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"the image's place in the order can't be read: {error}",
            remedy="restore the data directory from a backup",
        ) from None


def without_promises(data: bytes) -> bytes:
    """Return a position for another node's image."""
    return encode_position(msgspec.structs.replace(decode_position(data), reserved=0))


def adopt(data: bytes, own: bytes) -> bytes:
    """Return another node's position for this node's image; `own` is its present one, or empty.

    What this node has promised stays: its log, and here the reservation of the same epoch.
    """
    theirs = decode_position(data)
    mine = decode_position(own) if own else None
    is_same = mine is not None and mine.epoch.number == theirs.epoch.number
    reserved = mine.reserved if mine is not None and is_same else 0
    return encode_position(msgspec.structs.replace(theirs, reserved=reserved))
