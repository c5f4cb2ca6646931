"""A command: what a group orders. Its bytes are those of a batch in the log since Solo's time.

A batch is an array of transactions. A reconfiguration is a map: the next epoch, and the one
transaction that goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from actors.core.store.txn import Txn
from actors.model.epoch import Epoch

__all__ = ["Decoded", "decode_command", "encode_batch", "encode_reconfiguration"]

_FIXMAP: Final = 0x80  # msgpack: 0x80 to 0x8f are small maps
_ENCODER: Final = msgspec.msgpack.Encoder()


class _Reconfiguration(msgspec.Struct, frozen=True):
    epoch: Epoch
    txn: Txn


_BATCH: Final = msgspec.msgpack.Decoder(tuple[Txn, ...])
_RECONFIGURATION: Final = msgspec.msgpack.Decoder(_Reconfiguration)


class Decoded(NamedTuple):
    """The transactions of a command, and the epoch that begins behind it."""

    txns: tuple[Txn, ...]
    epoch: Epoch | None


def encode_batch(encoded: Iterable[bytes]) -> bytes:
    """Return the command of these encoded transactions."""
    return _ENCODER.encode([msgspec.Raw(txn) for txn in encoded])


def encode_reconfiguration(epoch: Epoch, txn: Txn) -> bytes:
    """Return the command that seals an epoch."""
    return _ENCODER.encode(_Reconfiguration(epoch, txn))


def decode_command(command: bytes) -> Decoded:
    """Return what a command holds. Raises msgspec.DecodeError."""
    if command[0] & 0xF0 == _FIXMAP:
        found = _RECONFIGURATION.decode(command)
        return Decoded((found.txn,), found.epoch)
    return Decoded(_BATCH.decode(command), None)
