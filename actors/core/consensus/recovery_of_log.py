"""From the log to the group: what a restart knows, and what it applies to the state.

Rules:
X1  What the image holds is not applied again; a command is applied in the order of its index.
X2  A record of an earlier epoch than the image's says nothing any more.
X3  What was executed before the image and is in the log is kept for laggards, as it was before.
X4  Everything up to the clock's last reservation counts as issued or skipped (I13).
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.core.consensus.chain import Chain, make_group
from actors.core.consensus.command import decode_command
from actors.core.consensus.executed_ids import ExecutedIds
from actors.core.consensus.group import Apply
from actors.core.consensus.journal import Journal
from actors.core.consensus.known_command import KnownCommand, Phase
from actors.core.consensus.learner import Learner
from actors.core.consensus.messages import CommandId
from actors.core.consensus.past import Past, PastCommand
from actors.core.consensus.position import decode_position
from actors.core.consensus.records import (
    BATCH,
    EPOCH,
    RECORDS,
    Committed,
    Executed,
    Known,
    Reserved,
    encode_record,
)
from actors.core.consensus.solo import Solo
from actors.core.consensus.tempo import Tempo
from actors.core.ports import LogEntry
from actors.errors import Corrupt
from actors.model.epoch import Epoch, Member

__all__ = ["Recovery", "found"]

_REMEDY: Final = "restore the data directory from a backup"


def found(epoch: Epoch) -> LogEntry:
    """Return the record that makes an empty log a member's of a cluster's first epoch."""
    return LogEntry(1, EPOCH, encode_record(epoch))


class Recovery:
    """Replays a log behind an image.

    `position` is the image's, empty if it has none: a node alone from before there were epochs, of
    which `applied_index` is the last record that the image holds.
    """

    def __init__(self, node: str, cluster: str, position: bytes, applied_index: int) -> None:
        self._node = node
        self._known: dict[CommandId, KnownCommand] = {}
        self._reserved = 0
        if position:
            at = decode_position(position)
            self.epoch = at.epoch
            self._past = Past(at.index, at.last, ExecutedIds(at.ids))
            self._reserved = at.reserved
        else:
            self.epoch = Epoch(1, cluster, (Member(node),), 1)
            self._past = Past(applied_index)
        self._imaged = self._past.index
        self._bytes: dict[CommandId, tuple[bytes, int]] = {}  # of what the image holds executed
        self._before: list[tuple[PastCommand, int]] = []  # a run of it that ends at _before_index
        self._before_index = 0

    @property
    def index(self) -> int:
        """How many commands are executed."""
        return self._past.index

    def replay(self, entry: LogEntry) -> tuple[Apply, ...]:
        """Take a record; return what is to be applied to the state. Raises Corrupt."""
        if entry.kind == BATCH:  # X2: of a time before the image's when others vote by now
            return (self._batch(entry),) if self.epoch.nodes == (self._node,) else ()
        decoder = RECORDS.get(entry.kind)
        if decoder is None:
            raise Corrupt(f"log record {entry.index} is of kind {entry.kind}", remedy=_REMEDY)
        record = decoder.decode(entry.payload)
        if isinstance(record, Epoch):
            self._begin(record)
        elif record.epoch == self.epoch.number:
            match record:
                case Reserved(up_to=up_to):
                    self._reserved = max(self._reserved, up_to)
                case Known():
                    self._take(entry.index, record)
                case Committed():
                    self._commit(record)
                case Executed():
                    return self._execute(entry.index, record)
        return ()

    def _batch(self, entry: LogEntry) -> Apply:
        """A node alone: each record is the next command."""
        index = self._past.index + 1
        command = PastCommand(self.epoch.number, index, (1, 0, index), entry.payload)
        return self._apply(command, None)

    def _apply(self, command: PastCommand, record: int | None) -> Apply:
        self._recall()
        decoded = decode_command(command.command)
        index, epoch = self._past.add(command, record), decoded.epoch
        self._past.drop(0)  # above its bound nothing is had, however long the log is
        if epoch is not None:
            epoch = msgspec.structs.replace(epoch, start=index)
            self._begin(epoch)
        return Apply(index, decoded.txns, (0,) * len(decoded.txns), epoch)

    def _begin(self, epoch: Epoch) -> None:
        """A later epoch begins, behind all that was executed in the one before (E2)."""
        if epoch == self.epoch or epoch.number < self.epoch.number:
            return
        if epoch.start != self._past.index:
            raise Corrupt(
                f"epoch {epoch.number} begins behind command {epoch.start}, the log has "
                f"{self._past.index}",
                remedy=_REMEDY,
            )
        self.epoch = epoch
        self._known.clear()
        self._reserved = 0
        self._past.begin_epoch()

    def _take(self, index: int, record: Known) -> None:
        if record.id in self._past.ids:
            if record.command:
                self._bytes[record.id] = (record.command, index)
            return
        command = self._known.get(record.id)
        if command is None:
            command = self._known[record.id] = KnownCommand(record.id, 0)
            command.first_record = index
        command.take_payload(record.command, record.quorum)
        if not command.is_committed and record.proposal:
            command.phase = Phase.RECOVERING if record.joined else Phase.PROPOSED
        command.proposal = record.proposal
        command.ballot = record.ballot
        command.accepted_ballot = record.accepted_ballot
        command.accepted_ts = record.accepted_ts
        command.seen_at_once = record.seen_at_once

    def _commit(self, record: Committed) -> None:
        command = self._known.get(record.id)
        if command is not None:
            command.phase, command.ts = Phase.COMMITTED, record.ts

    def _execute(self, place: int, record: Executed) -> tuple[Apply, ...]:
        if record.index <= self._past.index:
            self._remember(place, record)
            return ()
        known = self._known.pop(record.id, None)
        payload, first = record.command, place
        if known is not None and known.command and not payload:
            payload, first = known.command, known.first_record
        if record.index != self._past.index + 1 or not payload:
            raise Corrupt(
                f"the log executes command {record.index} behind {self._past.index}",
                remedy=_REMEDY,
            )
        return (self._apply(PastCommand(record.epoch, record.ts, record.id, payload), first),)

    def _remember(self, place: int, record: Executed) -> None:
        """Keep what the image holds already, as long as it is a run (X3)."""
        payload, first = record.command, place
        if not payload:
            payload, first = self._bytes.pop(record.id, (b"", 0))
        if not payload or record.index != self._before_index + 1:
            self._before.clear()
        self._before_index = record.index
        if payload:
            command = PastCommand(record.epoch, record.ts, record.id, payload)
            self._before.append((command, first))

    def _recall(self) -> None:
        """Have the past again, before anything is added to it."""
        if self._before and self._before_index == self._past.index:
            self._past.recall(self._before)
        self._before = []

    def finish(self, last_index: int, incarnation: int, *, durable_decisions: bool = True) -> Chain:
        """Return the group at the end of the log; `last_index` is its last durable record."""
        self._recall()
        journal = Journal(last_index)
        group: Solo | Tempo | Learner
        me = self.epoch.replica_of(self._node)
        if me is not None and len(self.epoch.members) > 1:
            group = Tempo(
                self.epoch,
                me,
                incarnation,
                journal,
                self._past,
                reserved=self._reserved,
                known=self._known,
                durable_decisions=durable_decisions,
            )
        else:
            group = make_group(self.epoch, self._node, incarnation, journal, self._past)
        return Chain(
            self._node,
            group,
            self.epoch,
            journal,
            self._past,
            incarnation=incarnation,
            imaged=self._imaged,
            durable_decisions=durable_decisions,
        )
