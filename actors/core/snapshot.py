"""A snapshot: the image of one node, sent to another that lags too far to follow by commands.

It is a checkpoint of the donor's image: the rows, the session tables, and where consensus stood at
that moment. No promises are in it: these are each replica's own, in its own log. Rules:

T1  The rows come in key order, each page behind the last key of the page before, so that a transfer
    that broke goes on where it was as long as the donor still has that snapshot.
T2  The receiver builds its own image of them, in its own engine; the digest must be the donor's.
T3  A snapshot takes the place of the image only as a whole, once it is durable: at every moment
    there is the old image or the new one, each with all that belongs to it.
T4  The receiver's log stays: its records above its old image's place are replayed on the new image
    too, so no promise is lost. What the snapshot has executed is not executed again.
T5  A node that has come as far by itself keeps its own image, from which its log goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from actors.core.consensus.position import decode_position, encode_position
from actors.core.ports import Row
from actors.errors import Corrupt
from actors.model.event import Event

__all__ = [
    "SNAPSHOT_TYPES",
    "Arrived",
    "NextRows",
    "OpenSnapshot",
    "SessionsOf",
    "Snapshot",
    "decode_rows",
    "encode_rows",
    "executed",
    "placed",
]


class OpenSnapshot(msgspec.Struct, frozen=True):
    """Ask for a snapshot with at least `index` commands executed; answered with a Snapshot."""

    index: int


class Snapshot(msgspec.Struct, frozen=True):
    """What a donor holds ready under `id`, for who asks on within SNAPSHOT_KEEP_S."""

    id: str
    cluster: str
    index: int
    revision: int
    keys: int
    digest: str
    position: bytes
    last_event: tuple[int, int]


class SessionsOf(msgspec.Struct, frozen=True):
    """Ask for the session tables of a snapshot; answered with bytes."""

    id: str


class NextRows(msgspec.Struct, frozen=True):
    """Ask for the rows behind a key; answered with bytes, empty at the end."""

    id: str
    after: str


class Arrived(msgspec.Struct, frozen=True):
    """What lies complete in `incoming/`, to be put in the place of the image.

    `last_event` is the last one up to it: the event log begins behind it. `forced`: it was made
    here, of what this node has; its log begins anew, its event log goes on with `events`.
    """

    engine: str
    cluster: str
    revision: int
    last_event: tuple[int, int] = (0, 0)
    forced: bool = False
    events: tuple[Event, ...] = ()


SNAPSHOT_TYPES: Final = (NextRows, OpenSnapshot, SessionsOf, Snapshot)
_ROWS: Final = msgspec.msgpack.Decoder(list[Row])
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Return a page of rows, empty without any."""
    page = list(rows)
    return _ENCODER.encode(page) if page else b""


def decode_rows(page: bytes) -> list[Row]:
    """Return the rows of a page. Raises Corrupt."""
    try:
        return _ROWS.decode(page)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a page of a snapshot can't be read: {error}") from None


def executed(position: bytes) -> int:
    """Return how many commands an image has executed, by its position."""
    return decode_position(position).index


def placed(own: bytes, snapshot: bytes) -> bytes:
    """Return the position of a snapshot in the hands of a node whose image had `own` (T4).

    Of its own it keeps how far its clock is reserved, if that was of the same epoch.
    """
    mine, theirs = decode_position(own) if own else None, decode_position(snapshot)
    is_same = mine is not None and mine.epoch.number == theirs.epoch.number
    reserved = mine.reserved if mine is not None and is_same else 0
    return encode_position(msgspec.structs.replace(theirs, reserved=reserved))
