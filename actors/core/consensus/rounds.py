"""From a proposal to a decision: the fast path and the slow path (§3.2 of the paper).

Rules:
F1  A member's proposal is at least the coordinator's; the final timestamp is the highest. It is
    decided at once when at least f members proposed it, else by a round of accepts at ballot i.
F2  Who has joined a ballot acknowledges no proposal any more, and counts none.
F3  A decision is durable before anybody sees it, here too. (Without durable decisions it is seen at
    once, and a coordinator that restarts must not answer for what it may have decided.)
F4  A value accepted at a ballot replaces one of a lower ballot only (I7).
"""

from __future__ import annotations

from functools import partial

from actors.core.consensus.apply_order import ApplyOrder
from actors.core.consensus.intake import Batch
from actors.core.consensus.known_command import Accepting, KnownCommand, Phase
from actors.core.consensus.messages import (
    Accept,
    Accepted,
    CommandId,
    Commit,
    Payload,
    Propose,
    ProposeAck,
    Quorum,
    RecoverNack,
)
from actors.core.consensus.records import (
    ACCEPT,
    COMMIT,
    PROPOSE,
    Committed,
    encode_record,
)
from actors.core.consensus.replica import Replica

__all__ = ["Rounds"]


class Rounds:
    """Coordinates commands, and takes part in the rounds of others."""

    def __init__(self, replica: Replica, order: ApplyOrder, *, durable_decisions: bool) -> None:
        self._replica = replica
        self._order = order
        self._durable = durable_decisions
        self._number = 0
        self.fast = 0
        self.slow = 0
        self.recovered = 0

    # -- the coordinator

    def begin(self, batch: Batch) -> CommandId:
        """Propose a command and return its id."""
        r = self._replica
        self._number += 1
        command = r.command((r.me, r.incarnation, self._number))
        command.take_payload(batch.command, self._choose_quorum())
        command.phase = Phase.PROPOSED
        command.seen_at_once = not self._durable
        command.acks = {}
        r.propose(command, 0)
        r.record(PROPOSE, command, issued=True)
        for j in r.others:
            if j in command.quorum:
                r.tell_durably(j, self.proposal(command))
            else:
                r.tell(j, Payload(command.id, batch.command, command.quorum))
        r.tell_durably(r.me, ProposeAck(command.id, command.proposal))
        return command.id

    def _choose_quorum(self) -> Quorum:
        """Itself and whom it believes alive, the next ones first."""
        r = self._replica
        ranked = sorted(r.others, key=lambda j: (j not in r.alive, (j - r.me) % r.quorums.n))
        return tuple(sorted((r.me, *ranked[: r.quorums.fast - 1])))

    def proposal(self, command: KnownCommand) -> Propose:
        """Return the coordinator's proposal; also sent again to who is silent."""
        assert command.command is not None, "a coordinator has its command"
        return Propose(command.id, command.command, command.quorum, command.proposal)

    def on_propose_ack(self, sender: int, message: ProposeAck) -> None:
        """Count a member's proposal; decide when all are there."""
        command = self._replica.known.get(message.id)
        if command is None or command.acks is None or not self._counts(command):
            return
        command.acks[sender] = message.ts
        if all(j in command.acks for j in command.quorum):
            self._conclude(command, [command.acks[j] for j in command.quorum])

    def _counts(self, command: KnownCommand) -> bool:
        """F2: no acknowledgement counts once a ballot was joined."""
        return command.phase is Phase.PROPOSED and command.ballot == 0

    def _conclude(self, command: KnownCommand, proposals: list[int]) -> None:
        """F1: the highest proposal wins, at once if enough members made it."""
        r = self._replica
        ts = self._highest(proposals)
        command.acks = None
        if proposals.count(ts) >= self._fast_threshold():
            self.fast += 1
            self.decide(command, ts)
        else:
            self.slow += 1
            self.accept(command, ts, r.me)

    def _highest(self, proposals: list[int]) -> int:
        return max(proposals)

    def _fast_threshold(self) -> int:
        return self._replica.quorums.f

    def accept(self, command: KnownCommand, ts: int, ballot: int) -> None:
        """Have a timestamp accepted at a ballot that this replica owns."""
        r = self._replica
        command.accepting = Accepting(ballot, ts)
        for j in r.everyone:
            r.tell_durably(j, self.acceptance(command))

    def acceptance(self, command: KnownCommand) -> Accept:
        """Return what is to be accepted."""
        accepting = command.accepting
        assert accepting is not None and command.command is not None, "it leads this ballot"
        return Accept(command.id, command.command, command.quorum, accepting.ts, accepting.ballot)

    def on_accepted(self, sender: int, message: Accepted) -> None:
        """Count an acceptance; f + 1 decide."""
        command = self._replica.known.get(message.id)
        if command is None or command.accepting is None or command.is_committed:
            return
        accepting = command.accepting
        if accepting.ballot != message.ballot or command.ballot != message.ballot:
            return
        accepting.acks.add(sender)
        if len(accepting.acks) >= self._slow_quorum():
            self.decide(command, accepting.ts)

    def _slow_quorum(self) -> int:
        return self._replica.quorums.slow

    def decide(self, command: KnownCommand, ts: int) -> None:
        """Make a decision durable, then known (F3)."""
        if command.is_deciding or command.is_committed:
            return
        command.is_deciding = True
        r = self._replica
        record = Committed(r.epoch.number, command.id, ts)
        r.journal.append(COMMIT, encode_record(record), lazy=not self._durable)
        if self._durable:
            r.journal.behind(partial(self._decided, command, ts))
        else:
            self._decided(command, ts)

    def _decided(self, command: KnownCommand, ts: int) -> None:
        r = self._replica
        for j in r.others:
            r.tell(j, Commit(command.id, ts))
        if r.known.get(command.id) is command:  # else another one was faster to decide the same
            self.learn(command, ts)

    def may_have_decided(self, command: KnownCommand) -> bool:
        """Say whether a coordinator that was restarted may have decided before it could recall it.

        A ballot says nothing: a process between may have led a recovery without its own answer.
        What counts is how the process decided that proposed it (F3).
        """
        return command.seen_at_once and command.phase is Phase.PROPOSED

    # -- everyone

    def on_payload(self, sender: int, message: Payload) -> None:
        """Remember a command."""
        r = self._replica
        if r.known.get(message.id) is not None or not r.helped(sender, message.id):
            r.command(message.id).take_payload(message.command, message.quorum)

    def on_propose(self, sender: int, message: Propose) -> None:
        """Propose a timestamp for another's command, at least its own (F1)."""
        r = self._replica
        if r.helped(sender, message.id):
            return
        command = r.command(message.id)
        if self._may_propose(command):
            command.take_payload(message.command, message.quorum)
            command.phase = Phase.PROPOSED
            r.propose(command, self._lowest(message.ts))
            r.record(PROPOSE, command, issued=True)
        elif not self._counts(command):
            return  # F2: a ballot was joined
        r.tell_durably(sender, ProposeAck(command.id, command.proposal))

    def _may_propose(self, command: KnownCommand) -> bool:
        return command.phase <= Phase.PAYLOAD and command.ballot == 0

    def _lowest(self, ts: int) -> int:
        return ts

    def on_accept(self, sender: int, message: Accept) -> None:
        """Accept a timestamp, unless a higher ballot was joined (F4)."""
        r = self._replica
        if r.helped(sender, message.id):
            return
        command = r.command(message.id)
        if command.ballot > message.ballot:
            r.tell_durably(sender, RecoverNack(command.id, command.ballot))
            return
        command.take_payload(message.command, message.quorum)
        command.ballot = command.accepted_ballot = message.ballot
        command.accepted_ts = message.ts
        r.record(ACCEPT, command)
        r.bump(message.ts)
        r.tell_durably(sender, Accepted(command.id, message.ballot))

    def on_commit(self, sender: int, message: Commit) -> None:
        """Take a decision."""
        r = self._replica
        if message.id in r.past.ids:
            return
        command = r.command(message.id)
        command.take_payload(message.command, message.quorum)
        self.learn(command, message.ts)

    def learn(self, command: KnownCommand, ts: int) -> None:
        """Know the final timestamp of a command (I1: there is only one)."""
        if command.is_committed:
            assert command.ts == ts, f"I1: {command.id} at {command.ts} and at {ts}"
            return
        command.ts = ts
        command.phase = Phase.COMMITTED
        command.acks = command.accepting = command.recovering = None
        self._replica.bump(ts)
        self._order.add(command)
