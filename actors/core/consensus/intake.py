"""Transactions that wait to be ordered, and how many of them make a command.

What is submitted while a record is being made durable forms the next command, so a slow disk gives
larger commands and not a longer queue of fsyncs. A reconfiguration is a command of its own.
"""

from __future__ import annotations

from collections import deque

import msgspec

from actors import limits
from actors.core.consensus.command import encode_batch, encode_reconfiguration
from actors.core.consensus.group import Reconfigure, Submit, check_bounds
from actors.core.store.txn import Txn
from actors.errors import Busy, InvalidInput, JobdError
from actors.model.epoch import Epoch

__all__ = ["Batch", "Intake"]


class _Waiting(msgspec.Struct, frozen=True):
    ticket: int
    txn: Txn
    encoded: bytes
    epoch: Epoch | None


class Batch(msgspec.Struct, frozen=True):
    """A command to be ordered, and who waits for its transactions."""

    command: bytes
    txns: tuple[Txn, ...]
    tickets: tuple[int, ...]
    epoch: Epoch | None

    def events(self) -> list[Submit | Reconfigure]:
        """Return what it was made of."""
        if self.epoch is not None:
            return [Reconfigure(self.tickets[0], self.txns[0], self.epoch)]
        return [Submit(*pair) for pair in zip(self.tickets, self.txns, strict=True)]


class Intake:
    """A bounded queue: `queue`."""

    def __init__(self) -> None:
        self.queue: deque[_Waiting] = deque()

    def add(self, event: Submit | Reconfigure) -> JobdError | None:
        """Take a transaction; return why not: Busy, TooLarge, InvalidInput."""
        if len(self.queue) >= limits.PENDING_TXNS:
            return Busy(
                f"{limits.PENDING_TXNS} transactions wait to be ordered (PENDING_TXNS)",
                remedy="try again in a moment",
            )
        try:
            encoded = check_bounds(event.txn)
        except InvalidInput as error:
            return error
        epoch = event.epoch if isinstance(event, Reconfigure) else None
        self.queue.append(_Waiting(event.ticket, event.txn, encoded, epoch))
        return None

    def take(self) -> Batch:
        """Return the next command's transactions; there is at least one."""
        queue = self.queue
        first = queue[0]
        if first.epoch is not None:
            queue.popleft()
            command = encode_reconfiguration(first.epoch, first.txn)
            return Batch(command, (first.txn,), (first.ticket,), first.epoch)
        taken: list[_Waiting] = []
        size = 0
        while queue and queue[0].epoch is None:
            size += len(queue[0].encoded)
            if taken and size > limits.BATCH_BYTES:
                break
            taken.append(queue.popleft())
        command = encode_batch(waiting.encoded for waiting in taken)
        return Batch(command, tuple(w.txn for w in taken), tuple(w.ticket for w in taken), None)

    def clear(self) -> list[Submit | Reconfigure]:
        """Give back all that waits."""
        waiting, self.queue = self.queue, deque()
        return [
            Submit(w.ticket, w.txn) if w.epoch is None else Reconfigure(w.ticket, w.txn, w.epoch)
            for w in waiting
        ]
