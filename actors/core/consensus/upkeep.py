"""What time brings: repeats of what got no answer, questions, and recoveries with back-off.

Rules:
U1  Nothing rests on one message: all that waits for an answer is asked again, less and less often.
U2  A recovery begins when the detector's leader finds a command undecided for too long, sooner when
    its coordinator is suspected; each further try waits twice as long, and each replica a little
    more than the one before it, so that two that duel get out of each other's way.
U3  A coordinator whose fast quorum has lost a member recovers its own command at once: the members
    can't be changed.
"""

from __future__ import annotations

from typing import Final

from actors.core.consensus.known_command import KnownCommand, Phase
from actors.core.consensus.messages import CommandId, CommitRequest, Payload
from actors.core.consensus.promises import Promises
from actors.core.consensus.recoveries import Recoveries
from actors.core.consensus.replica import Replica
from actors.core.consensus.rounds import Rounds

__all__ = ["Upkeep"]

_REPEAT_MS: Final = 50  # first; then twice that, up to
_REPEAT_MOST_MS: Final = 1_000
_RECOVER_MS: Final = 400  # above four hops with a slow disk
_MOST_DOUBLINGS: Final = 6
_ASKED_AT_ONCE: Final = 256


class Upkeep:
    """Looks at all that is undecided, each tick."""

    def __init__(
        self, replica: Replica, rounds: Rounds, recoveries: Recoveries, promises: Promises
    ) -> None:
        self._replica = replica
        self._rounds = rounds
        self._recoveries = recoveries
        self._promises = promises
        self._asked: dict[CommandId, int] = {}  # unknown here → when to ask again

    def tick(self) -> None:
        """Repeat, ask, recover."""
        r = self._replica
        wanted = self._unknown()
        for command in list(r.known.values()):
            if r.now_ms < command.retry_ms:
                continue
            if command.is_committed:
                if command.command is None and self._is_time(command):
                    wanted.append(command.id)
                continue
            if self._is_time(command):
                self._look_at(command, wanted)
        if wanted:
            request = CommitRequest(tuple(sorted(wanted)[:_ASKED_AT_ONCE]))
            for j in r.others:
                r.tell(j, request)

    def _is_time(self, command: KnownCommand) -> bool:
        now_ms = self._replica.now_ms
        if not command.retry_ms:
            command.retry_ms = command.born_ms + _REPEAT_MS
        if now_ms < command.retry_ms:
            return False
        age_ms = max(now_ms - command.born_ms, _REPEAT_MS)
        command.retry_ms = now_ms + min(age_ms, _REPEAT_MOST_MS)
        return True

    def _unknown(self) -> list[CommandId]:
        """Commands that others have promised timestamps and that are unknown here."""
        r, now_ms = self._replica, self._replica.now_ms
        wanted: list[CommandId] = []
        unknown = self._promises.unknown(r.known, r.past.ids)
        asked: dict[CommandId, int] = {}
        for id_ in unknown:
            asked[id_] = self._asked.get(id_, now_ms + _REPEAT_MS)
            if asked[id_] <= now_ms:
                asked[id_] = now_ms + 4 * _REPEAT_MS
                wanted.append(id_)
        self._asked = asked
        return wanted

    def _look_at(self, command: KnownCommand, wanted: list[CommandId]) -> None:
        """Do what is overdue for an undecided command."""
        r = self._replica
        if command.is_deciding:
            return
        if self._should_recover(command):
            command.tries += 1
            command.born_ms = r.now_ms
            self._recoveries.begin(command)
            return
        if command.accepting is not None:
            for j in r.everyone:
                if j not in command.accepting.acks:
                    r.tell_durably(j, self._rounds.acceptance(command))
        elif command.recovering is not None:
            for j in r.others:
                if j not in command.recovering.acks:
                    r.tell_durably(j, self._recoveries.question(command))
        elif command.acks is not None and command.phase is Phase.PROPOSED:
            for j in command.quorum:
                if j != r.me and j not in command.acks:
                    r.tell_durably(j, self._rounds.proposal(command))
        else:
            wanted.append(command.id)
            if command.command is not None:  # who leads recoveries may not know it at all
                r.tell(r.leader, Payload(command.id, command.command, command.quorum))

    def _should_recover(self, command: KnownCommand) -> bool:
        r = self._replica
        if command.command is None:
            return False
        coordinator = command.id[0]
        if command.acks is not None:  # U3; else its own rounds are going on
            lost = [j for j in command.quorum if j not in r.alive and j not in command.acks]
            return bool(lost) or self._age_ms(command) >= self._patience_ms(command)
        if r.leader != r.me and coordinator != r.me:
            return False
        patience_ms = self._patience_ms(command)
        if coordinator not in r.alive and not command.tries:
            patience_ms = _REPEAT_MS
        return self._age_ms(command) >= patience_ms

    def _age_ms(self, command: KnownCommand) -> int:
        return self._replica.now_ms - command.born_ms

    def _patience_ms(self, command: KnownCommand) -> int:
        """U2: twice as long each time, and a little apart from each other."""
        r = self._replica
        base = _RECOVER_MS << min(command.tries, _MOST_DOUBLINGS)
        return base + base * r.me // (2 * r.quorums.n)
