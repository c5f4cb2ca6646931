"""What the replica is asked, and what it tells who follows it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from actors.core.store.txn import Txn
from actors.model.epoch import Epoch
from actors.model.event import Event

__all__ = [
    "Barrier",
    "ChangeEpoch",
    "Nudge",
    "Published",
    "Room",
    "Settle",
    "SubmitTxn",
    "Subscribe",
]


class SubmitTxn(msgspec.Struct, frozen=True):
    """Order this transaction; answered with its Result, or failed with ReadOnly, Busy, TooLarge."""

    txn: Txn
    opens_session: bool = False
    grows: bool = False  # it takes on something new: refused while there is little room


class ChangeEpoch(msgspec.Struct, frozen=True):
    """Seal the present epoch and begin this one; answered with the transaction's Result.

    Failed with Conflict when another change came first, Unavailable without a vote.
    """

    txn: Txn
    epoch: Epoch


class Subscribe(msgspec.Struct, frozen=True):
    """The sender wants a Nudge whenever something of these kinds of keys was committed, () any.

    It comes now and then without: a feed that is followed stays on the ring.
    """

    kinds: tuple[str, ...] = ()


class Barrier(msgspec.Struct, frozen=True):
    """Answered once everything that was acknowledged anywhere before is applied here."""


class Room(msgspec.Struct, frozen=True):
    """Whether the disk has room for something new."""

    system_lane: ClassVar[bool] = True
    there: bool


class Settle(msgspec.Struct, frozen=True):
    """Answered once the image has everything that is applied: a clean stop leaves no replay."""


class Nudge(msgspec.Struct, frozen=True):
    """The state moved on; take the changes after your cursor."""

    system_lane: ClassVar[bool] = True


class Published(msgspec.Struct, frozen=True):
    """Events of the last commits, in order, for the event bus."""

    system_lane: ClassVar[bool] = True
    events: tuple[Event, ...]
