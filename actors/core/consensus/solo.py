"""Solo: the order of a node alone. Append → fsync → apply.

Invariants:
G1  A batch is applied, and its tickets are answered, only after its record is durable.
G2  At most one record is being made durable; what is submitted meanwhile forms the next batch, so
    a slow disk gives larger batches and not a longer queue of fsyncs (group commit).
G3  Indexes are dense. A record refused with nothing written gives its index back.
G4  Every ticket is answered exactly once: by the application of its batch, or by a refusal.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final

from actors.core.consensus.group import Apply, Read, Reconfigure, Submit
from actors.core.consensus.intake import Batch, Intake
from actors.core.consensus.journal import Journal
from actors.core.consensus.past import Past, PastCommand
from actors.core.consensus.records import BATCH
from actors.errors import JobdError
from actors.model.epoch import Epoch

__all__ = ["Solo"]


class Solo:
    """Orders the transactions of one node."""

    role: Final = "solo"
    reserved: Final = 0

    def __init__(self, epoch: Epoch, journal: Journal, past: Past) -> None:
        self._epoch = epoch
        self._journal = journal
        self._past = past
        self._intake = Intake()
        self._flight: Batch | None = None
        self._durable: deque[Batch] = deque()
        self._reads: list[int] = []

    # -- inputs

    def submit(self, event: Submit | Reconfigure) -> JobdError | None:
        """Take a transaction; return why not."""
        return self._intake.add(event)

    def read(self, event: Read) -> None:
        """A read: what is acknowledged is applied."""
        self._reads.append(event.ticket)

    def synced(self, record: int) -> None:
        """What is held for the record says the rest."""

    def not_synced(self) -> list[Submit | Reconfigure]:
        """The disk is full: nothing of what waits was ordered (G3)."""
        waiting = self._flight.events() if self._flight is not None else []
        if self._flight is not None:
            self._flight = None
            self._journal.give_back(BATCH)
        return waiting + self._intake.clear()

    # -- what follows

    def run(self) -> list[Apply]:
        """Apply what is durable, and have the next batch made so (G2)."""
        applies: list[Apply] = []
        while self._durable:
            batch = self._durable.popleft()
            index = self._past.index + 1
            command = PastCommand(self._epoch.number, index, (1, 0, index), batch.command)
            self._past.add(command, None)
            applies.append(Apply(index, batch.txns, batch.tickets, batch.epoch))
            if batch.epoch is not None:
                return applies
        if self._flight is None and self._intake.queue and self._journal.is_free:
            self._flight = batch = self._intake.take()
            self._journal.append(BATCH, batch.command)
            self._journal.behind(partial(self._is_durable, batch))
        return applies

    def _is_durable(self, batch: Batch) -> None:
        self._flight = None
        self._durable.append(batch)

    def ready(self) -> list[int]:
        """Return the reads that may be served: all."""
        ready, self._reads = self._reads, []
        return ready

    def unanswered(self) -> list[Submit | Reconfigure]:
        """Give back what this epoch did not execute."""
        return self._intake.clear()

    def unread(self) -> list[int]:
        """Give back the reads that were not served."""
        return self.ready()

    @property
    def first_needed(self) -> int:
        """The first log record that a restart needs beside an image of now."""
        return self._journal.durable + 1
