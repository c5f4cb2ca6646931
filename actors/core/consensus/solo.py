"""Solo: the group of one node alone. Append → fsync → apply.

Invariants:
G1  A batch is applied, and its tickets are answered, only after its record is durable.
G2  At most one record is being made durable; what is submitted meanwhile forms the next batch, so
    a slow disk gives larger batches and not a longer queue of fsyncs (group commit).
G3  Indexes are dense. A record refused with nothing written gives its index back.
G4  Every ticket is answered exactly once: by the application of its batch, or by a refusal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from actors import limits
from actors.core.consensus.group import (
    BATCH,
    Apply,
    Effects,
    Input,
    NotSynced,
    Submit,
    Synced,
    check_bounds,
)
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.errors import Busy, InvalidInput

__all__ = ["Solo", "decode_batch"]

_ENCODER: Final = msgspec.msgpack.Encoder()
_BATCH_DECODER: Final = msgspec.msgpack.Decoder(tuple[Txn, ...])


class _Waiting(msgspec.Struct, frozen=True):
    ticket: int
    txn: Txn
    encoded: bytes


class Solo:
    """Orders the transactions of one node; `last_index` is the log's last durable record."""

    def __init__(self, last_index: int) -> None:
        self._last = last_index
        self._queue: deque[_Waiting] = deque()
        self._flight: tuple[_Waiting, ...] = ()

    def step(self, event: Input) -> Effects:
        """Take one input and say what is to be done."""
        match event:
            case Submit():
                return self._submit(event)
            case Synced(index=index):
                return self._synced(index)
            case NotSynced():
                return self._refused(event)

    def _submit(self, event: Submit) -> Effects:
        if len(self._queue) >= limits.PENDING_TXNS:
            busy = Busy(
                f"{limits.PENDING_TXNS} transactions wait for the disk (PENDING_TXNS)",
                remedy="try again in a moment",
            )
            return Effects(refuse=((event.ticket, busy),))
        try:
            encoded = check_bounds(event.txn)
        except InvalidInput as error:
            return Effects(refuse=((event.ticket, error),))
        self._queue.append(_Waiting(event.ticket, event.txn, encoded))
        return Effects(append=self._next())

    def _synced(self, index: int) -> Effects:
        assert self._flight, "synced without a record in flight"
        assert index == self._last + 1, "G3: one record at a time, dense"
        self._last = index
        batch, self._flight = self._flight, ()
        done = Apply(index, tuple(w.txn for w in batch), tuple(w.ticket for w in batch))
        return Effects(append=self._next(), apply=(done,))

    def _refused(self, event: NotSynced) -> Effects:
        batch, self._flight = self._flight, ()
        waiting = (*batch, *self._queue)
        self._queue.clear()
        return Effects(refuse=tuple((w.ticket, event.error) for w in waiting))

    def _next(self) -> tuple[LogEntry, ...]:
        """Form the next batch, if the disk is free (G2)."""
        if self._flight or not self._queue:
            return ()
        self._flight = tuple(self._take())
        payload = _ENCODER.encode([msgspec.Raw(w.encoded) for w in self._flight])
        return (LogEntry(self._last + 1, BATCH, payload),)

    def _take(self) -> Iterator[_Waiting]:
        taken = 0
        while self._queue and (
            taken == 0 or taken + len(self._queue[0].encoded) <= limits.BATCH_BYTES
        ):
            waiting = self._queue.popleft()
            taken += len(waiting.encoded)
            yield waiting


def decode_batch(payload: bytes) -> tuple[Txn, ...]:
    """Return the transactions of a log record. Raises msgspec.DecodeError."""
    return _BATCH_DECODER.decode(payload)
