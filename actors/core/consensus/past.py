"""The executed commands that are still had: for who asks what became of one, or lags behind.

Rules:
H1  Indexes are dense over all epochs; what is had is a run that ends at `index`.
H2  What every member has durably in its image may go; above RETAINED_BYTES the oldest goes anyway,
    and who lags further needs a snapshot.
H3  The log keeps the records of what is had, so that a restart has it again.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from actors import limits
from actors.core.consensus.executed_ids import ExecutedIds
from actors.core.consensus.messages import CommandId

__all__ = ["Past", "PastCommand"]


class PastCommand(NamedTuple):
    """An executed command."""

    epoch: int
    ts: int
    id: CommandId
    command: bytes


class Past:
    """What was executed here. `index` counts commands from the cluster's beginning."""

    def __init__(
        self,
        index: int = 0,
        last: tuple[int, CommandId] | None = None,
        ids: ExecutedIds | None = None,
    ) -> None:
        self.index = index
        self.last = last or (0, (0, 0, 0))  # (ts, id) of the present epoch's last one
        self.ids = ids or ExecutedIds()  # of the present epoch
        self._had: deque[PastCommand] = deque()
        self._by_id: dict[CommandId, PastCommand] = {}
        self._bytes = 0
        # Of the first records of what is had: (index, record), a later one only if it is lower.
        self._lowest: deque[tuple[int, int]] = deque()

    @property
    def oldest(self) -> int:
        """The first index that is still had, `index` + 1 when none is."""
        return self.index - len(self._had) + 1

    @property
    def first_record(self) -> int | None:
        """The first log record of what is had, None when nothing is."""
        return self._lowest[0][1] if self._lowest else None

    def add(self, command: PastCommand, record: int | None) -> int:
        """Note an execution; return its index. Asserts the order within an epoch (I5).

        `record` is the first of the log that has its bytes; None: the log need not keep them.
        """
        assert (command.ts, command.id) > self.last, f"I5: {command.id} after {self.last}"
        self.ids.add(command.id)
        self.last = (command.ts, command.id)
        self.index += 1
        self._keep(self.index, command, record)
        return self.index

    def recall(self, commands: list[tuple[PastCommand, int]]) -> None:
        """Have again what the image holds already: the last commands up to `index`, in order."""
        assert not self._had, "before anything is added"
        for index, (command, record) in enumerate(commands, self.index - len(commands) + 1):
            self._keep(index, command, record)

    def _keep(self, index: int, command: PastCommand, record: int | None) -> None:
        self._had.append(command)
        self._by_id[command.id] = command
        self._bytes += len(command.command)
        if record is None:
            return
        while self._lowest and self._lowest[-1][1] >= record:
            self._lowest.pop()
        self._lowest.append((index, record))

    def find(self, id_: CommandId) -> PastCommand | None:
        """Return a command of the present epoch, if it is still had."""
        return self._by_id.get(id_)

    def since(self, first: int, max_bytes: int) -> list[PastCommand]:
        """Return commands from an index on, at least one if there is one, in order."""
        start = first - self.oldest
        assert start >= 0, "the caller looks at `oldest`"
        taken: list[PastCommand] = []
        size = 0
        for place in range(start, len(self._had)):
            command = self._had[place]
            size += len(command.command)
            if taken and size > max_bytes:
                break
            taken.append(command)
        return taken

    def begin_epoch(self) -> None:
        """Begin the numbering of a new epoch; what was executed is still had."""
        self.last = (0, (0, 0, 0))
        self.ids = ExecutedIds()
        self._by_id.clear()
        self._lowest.clear()  # a restart has again only what is of the present epoch

    def drop(self, upto: int) -> None:
        """Forget what is at or below an index, or over the bound."""
        while self._had and (self.oldest <= upto or self._bytes > limits.RETAINED_BYTES):
            command = self._had.popleft()
            self._bytes -= len(command.command)
            if self._by_id.get(command.id) is command:
                del self._by_id[command.id]
        while self._lowest and self._lowest[0][0] < self.oldest:
            self._lowest.popleft()
