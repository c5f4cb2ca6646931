"""Recovery: to decide a command whose coordinator does not (§3.4 of the paper).

Rules:
V1  A ballot is owned by one replica, and joined in one direction only (I7); who joins one answers
    no proposal any more.
V2  What was accepted at the highest ballot is proposed again. If nothing was, the fast path may
    have decided only if neither the coordinator nor one that joined without a proposal answered.
V3  A restarted coordinator that may have decided unseen (`is_amnesiac`) doesn't answer for its
    command; it may lead a recovery that does without its answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.core.consensus.known_command import KnownCommand, Phase, Recovering
from actors.core.consensus.messages import Quorum, Recover, RecoverAck, RecoverNack
from actors.core.consensus.records import BALLOT
from actors.core.consensus.replica import Replica
from actors.core.consensus.rounds import Rounds

__all__ = ["Recoveries", "choose_timestamp", "next_ballot"]


def next_ballot(me: int, n: int, above: int) -> int:
    """Return this replica's lowest recovery ballot above one. 0 to n are the coordinators' own."""
    return me + n * ((above - 1) // n + 1) if above > 0 else me + n


def choose_timestamp(answers: Mapping[int, RecoverAck], quorum: Quorum, coordinator: int) -> int:
    """Return the timestamp to propose, from the answers of a recovery quorum (V2).

    Nothing accepted and the fast path impossible: any timestamp will do that is at least the
    proposals of a majority, and the answers are one. Possible: at most f - 1 other members of the
    fast quorum are missing beside the coordinator, so the highest proposal among those that
    answered is what it decided, if it did.
    """
    accepted = [a for a in answers.values() if a.accepted_ballot]
    if accepted:
        return max(accepted, key=lambda a: a.accepted_ballot).accepted_ts
    members = [j for j in answers if j in quorum]
    is_impossible = coordinator in members or any(answers[j].joined for j in members)
    among = answers if is_impossible else members
    return max(answers[j].proposal for j in among)


class Recoveries:
    """Leads recoveries, and takes part in those of others."""

    def __init__(self, replica: Replica, rounds: Rounds) -> None:
        self._replica = replica
        self._rounds = rounds

    def begin(self, command: KnownCommand) -> None:
        """Lead a recovery of a command at a new ballot."""
        r = self._replica
        if command.command is None or command.is_committed or command.is_deciding:
            return
        ballot = next_ballot(r.me, r.quorums.n, max(command.ballot, command.nacked))
        self._join(command, ballot)
        command.recovering = Recovering(ballot)
        for j in r.others:
            r.tell_durably(j, self.question(command))
        if not command.is_amnesiac:
            r.tell_durably(r.me, _answer(command))

    def question(self, command: KnownCommand) -> Recover:
        """Return what is asked; also sent again to who is silent."""
        assert command.command is not None, "a recovery needs the command"
        return Recover(command.id, command.command, command.quorum, command.ballot)

    def _join(self, command: KnownCommand, ballot: int) -> None:
        issues = command.ballot == 0 and command.phase <= Phase.PAYLOAD and not command.is_amnesiac
        if issues:
            self._replica.propose(command, 0)
            command.phase = Phase.RECOVERING
        command.ballot = ballot
        command.acks = command.accepting = command.recovering = None
        self._replica.record(BALLOT, command, issued=issues)

    def on_recover(self, sender: int, message: Recover) -> None:
        """Join a ballot and say what is known, unless a higher one was joined."""
        r = self._replica
        if r.helped(sender, message.id):
            return
        command = r.command(message.id)
        if command.ballot > message.ballot:
            r.tell_durably(sender, RecoverNack(command.id, command.ballot))
            return
        command.take_payload(message.command, message.quorum)
        if command.is_deciding or self._must_be_silent(command):
            return
        if command.ballot < message.ballot:
            self._join(command, message.ballot)
        r.tell_durably(sender, _answer(command))

    def _must_be_silent(self, command: KnownCommand) -> bool:
        return command.is_amnesiac and command.accepted_ballot == 0

    def on_recover_ack(self, sender: int, message: RecoverAck) -> None:
        """Count an answer; the first n - f choose the timestamp."""
        r = self._replica
        command = r.known.get(message.id)
        if command is None or command.recovering is None or command.is_committed:
            return
        recovering = command.recovering
        if recovering.ballot != message.ballot or command.ballot != message.ballot:
            return
        recovering.acks[sender] = message
        if len(recovering.acks) >= r.quorums.recovery:
            ts = choose_timestamp(recovering.acks, command.quorum, command.id[0])
            command.recovering = None
            self._rounds.recovered += 1
            self._rounds.accept(command, ts, recovering.ballot)

    def on_recover_nack(self, sender: int, message: RecoverNack) -> None:
        """Know of a higher ballot; the next try goes above it."""
        command = self._replica.known.get(message.id)
        if command is not None:
            command.nacked = max(command.nacked, message.ballot)


def _answer(command: KnownCommand) -> RecoverAck:
    return RecoverAck(
        command.id,
        command.proposal,
        command.phase.is_joined,
        command.accepted_ballot,
        command.accepted_ts,
        command.ballot,
    )
