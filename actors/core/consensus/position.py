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

__all__ = ["Position", "decode_position", "encode_position"]


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
