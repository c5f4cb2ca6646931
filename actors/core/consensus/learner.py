"""A learner: a node without a vote that follows the executed commands of the voters.

It promises nothing and decides nothing: it may be lost at any moment. What its own actors submit
goes to a voter.
"""

from __future__ import annotations

from typing import Final

from actors.core.consensus.command import decode_command
from actors.core.consensus.group import Apply, Read, Reconfigure, Submit
from actors.core.consensus.journal import Journal
from actors.core.consensus.past import Past, PastCommand
from actors.core.consensus.records import EXECUTE, Executed, encode_record
from actors.errors import JobdError, Unavailable
from actors.model.epoch import Epoch

__all__ = ["Learner"]


class Learner:
    """Takes commands in the order in which others have executed them."""

    role: Final = "learner"
    reserved: Final = 0

    def __init__(self, epoch: Epoch, journal: Journal, past: Past) -> None:
        self._epoch = epoch
        self._journal = journal
        self._past = past
        self._forward: list[Submit | Read] = []

    def submit(self, event: Submit | Reconfigure) -> JobdError | None:
        """Have a transaction forwarded; a change of membership is for a voter to begin."""
        if isinstance(event, Reconfigure):
            return Unavailable(
                "this node has no vote", remedy="ask a voter: `jobctl cluster members` names them"
            )
        self._forward.append(event)
        return None

    def read(self, event: Read) -> None:
        """Have a read forwarded."""
        self._forward.append(event)

    def forward(self) -> list[Submit | Read]:
        """Return what is for a voter."""
        forward, self._forward = self._forward, []
        return forward

    def synced(self, record: int) -> None:
        """Nothing waits for the log."""

    def not_synced(self) -> list[Submit | Reconfigure]:
        """Nothing waits for the log."""
        return []

    def run(self) -> list[Apply]:
        """Nothing happens by itself."""
        return []

    def fetched(self, command: PastCommand) -> Apply:
        """Execute the next command."""
        decoded = decode_command(command.command)
        index = self._past.index + 1
        record = Executed(command.epoch, index, command.ts, command.id, command.command)
        place = self._journal.append(EXECUTE, encode_record(record), lazy=True)
        self._past.add(command, place)
        return Apply(index, decoded.txns, (0,) * len(decoded.txns), decoded.epoch)

    def ready(self) -> list[int]:
        """No read is served here without a voter's word."""
        return []

    def unanswered(self) -> list[Submit | Reconfigure]:
        """Give back what was not forwarded yet: its epoch may end within the step."""
        return [event for event in self._forward if isinstance(event, Submit)]

    def unread(self) -> list[int]:
        """Give back the reads that were not forwarded yet."""
        return [event.ticket for event in self._forward if isinstance(event, Read)]

    @property
    def first_needed(self) -> int:
        """The first log record that a restart needs beside an image of now."""
        return self._journal.durable + 1
