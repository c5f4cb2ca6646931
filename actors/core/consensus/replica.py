"""What the parts of a Tempo replica share: its place in the epoch, what it knows, how it speaks.

Rules:
R1  What a message rests on is durable before the message leaves (`tell_durably`); messages that
    promise nothing (payloads, questions) leave at once.
R2  A message to oneself goes the same way, and is taken within the same step.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from actors.core.consensus.journal import Journal
from actors.core.consensus.known_command import KnownCommand
from actors.core.consensus.messages import CommandId, Commit, Message
from actors.core.consensus.past import Past
from actors.core.consensus.promise_clock import PromiseClock
from actors.core.consensus.quorums import Quorums
from actors.core.consensus.records import RESERVE, Known, Reserved, encode_record
from actors.model.epoch import Epoch

__all__ = ["Replica"]


class Replica:
    """One voter of one epoch. `me` and other replicas are numbers from 1."""

    def __init__(
        self,
        epoch: Epoch,
        me: int,
        incarnation: int,
        journal: Journal,
        past: Past,
        clock: PromiseClock,
    ) -> None:
        self.epoch = epoch
        self.me = me
        self.incarnation = incarnation
        self.quorums = Quorums.of(len(epoch.members), epoch.quorum_size)
        self.everyone = range(1, self.quorums.n + 1)
        self.others = tuple(j for j in self.everyone if j != me)
        self.journal = journal
        self.past = past
        self.clock = clock
        self.known: dict[CommandId, KnownCommand] = {}
        self.alive = frozenset(self.everyone)
        self.leader = 1
        self.now_ms = 0
        self.outbox: dict[int, list[Message]] = {}
        self.inbox: deque[Message] = deque()

    # -- commands

    def is_committed(self, id_: CommandId) -> bool:
        """Whether the final timestamp of a command is known here."""
        known = self.known.get(id_)
        return known.is_committed if known is not None else id_ in self.past.ids

    def command(self, id_: CommandId) -> KnownCommand:
        """Return what is known of a command that is not executed."""
        known = self.known.get(id_)
        if known is None:
            assert id_ not in self.past.ids, "an executed command is not made anew"
            known = self.known[id_] = KnownCommand(id_, self.now_ms)
        return known

    def helped(self, sender: int, id_: CommandId) -> bool:
        """Say whether a command is decided here, telling the sender so."""
        known = self.known.get(id_)
        if known is None:
            if id_ not in self.past.ids:
                return False
            past = self.past.find(id_)
            if past is not None:
                self.tell(sender, Commit(id_, past.ts, past.command, tuple(self.everyone)))
            elif sender != self.me:
                self.owe(sender)  # the packet says how far this replica is
            return True
        if not known.is_committed:
            return False
        self.tell(sender, Commit(id_, known.ts, known.command or b"", known.quorum))
        return True

    # -- promises

    def propose(self, command: KnownCommand, at_least: int) -> None:
        """Attach the next timestamp of this replica to a command."""
        command.proposal = self.clock.issue(command.id, at_least)

    def bump(self, ts: int) -> None:
        """Skip up to a timestamp."""
        self.clock.bump(ts)
        self.reserve()

    def reserve(self) -> None:
        """Have the clock's reservation recorded ahead of need."""
        up_to = self.clock.wants_reservation
        if up_to is not None:
            payload = encode_record(Reserved(self.epoch.number, up_to))
            self.clock.reserve(up_to, self.journal.append(RESERVE, payload, lazy=True))
        if self.clock.is_beyond:
            self.journal.hurry()

    def record(self, kind: int, command: KnownCommand, *, issued: bool = False) -> None:
        """Write down all that must survive of a command; `issued`: with a new timestamp."""
        self.reserve()
        is_logged = command.first_record != 0
        record = Known(
            self.epoch.number,
            command.id,
            b"" if is_logged else command.command or b"",
            command.quorum,
            command.proposal,
            command.phase.is_joined,
            command.ballot,
            command.accepted_ballot,
            command.accepted_ts,
            command.seen_at_once,
        )
        index = self.journal.append(kind, encode_record(record))
        if not is_logged:
            command.first_record = index
        if issued:
            self.clock.recorded(command.proposal, index)

    # -- speaking

    def tell(self, to: int, message: Message) -> None:
        """Send a message that promises nothing, or rests on what is durable."""
        if to == self.me:
            self.inbox.append(message)
        else:
            self.outbox.setdefault(to, []).append(message)

    def owe(self, to: int) -> None:
        """Send a packet even if there is no message for it: the statement is what counts."""
        if to != self.me:
            self.outbox.setdefault(to, [])

    def tell_durably(self, to: int, message: Message) -> None:
        """Send a message once all that was recorded so far is durable (R1)."""
        self.journal.behind(partial(self.tell, to, message))
