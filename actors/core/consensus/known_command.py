"""What a replica knows of one command that it has not executed.

Rules:
K1  Three timestamps, never mixed up: the own proposal, the one accepted at a ballot, the final one.
K2  Two ballots, never mixed up: the highest joined, and the one at which a value was accepted.
K3  The members of its fast quorum are fixed when it is submitted.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from actors.core.consensus.messages import CommandId, Quorum, RecoverAck

__all__ = ["Accepting", "KnownCommand", "Phase", "Recovering"]


class Phase(IntEnum):
    """How far a command is here; two of them tell what its proposal was made for."""

    START = 0
    PAYLOAD = 1
    PROPOSED = 2  # on the fast path (with a ballot: joined a recovery after it)
    RECOVERING = 3  # the proposal was made when a recovery was joined
    COMMITTED = 4

    @property
    def is_joined(self) -> bool:
        """Whether the proposal was made for a recovery (`recover_r` of the paper)."""
        return self is Phase.RECOVERING


_COMMITTED: Final = Phase.COMMITTED  # it is asked for again and again


class Accepting:
    """The second phase of a ballot that this replica leads."""

    __slots__ = ("acks", "ballot", "ts")

    def __init__(self, ballot: int, ts: int) -> None:
        self.ballot = ballot
        self.ts = ts
        self.acks: set[int] = set()


class Recovering:
    """The first phase of a ballot that this replica leads."""

    __slots__ = ("acks", "ballot")

    def __init__(self, ballot: int) -> None:
        self.ballot = ballot
        self.acks: dict[int, RecoverAck] = {}


class KnownCommand:
    """A command that is not executed here yet."""

    __slots__ = (
        "accepted_ballot",
        "accepted_ts",
        "accepting",
        "acks",
        "ballot",
        "born_ms",
        "command",
        "first_record",
        "id",
        "is_amnesiac",
        "is_deciding",
        "nacked",
        "phase",
        "proposal",
        "quorum",
        "recovering",
        "retry_ms",
        "seen_at_once",
        "tries",
        "ts",
    )

    def __init__(self, id_: CommandId, now_ms: int) -> None:
        self.id = id_
        self.phase = Phase.START
        self.command: bytes | None = None
        self.quorum: Quorum = ()
        self.proposal = 0
        self.ballot = 0
        self.accepted_ballot = 0
        self.accepted_ts = 0
        self.ts = 0
        self.first_record = 0  # of the log, 0 while there is none
        self.seen_at_once = False  # coordinated here, and decided before that is durable
        self.is_amnesiac = False  # a restarted coordinator that may have decided unseen
        # volatile, of who leads a round
        self.acks: dict[int, int] | None = None
        self.accepting: Accepting | None = None
        self.recovering: Recovering | None = None
        self.is_deciding = False
        self.nacked = 0
        self.born_ms = now_ms
        self.retry_ms = 0
        self.tries = 0

    @property
    def is_committed(self) -> bool:
        """Whether its final timestamp is known here."""
        return self.phase is _COMMITTED

    def take_payload(self, command: bytes, quorum: Quorum) -> None:
        """Take the command's bytes, if they are news."""
        if self.command is None and command:
            self.command, self.quorum = command, quorum
            if self.phase is Phase.START:
                self.phase = Phase.PAYLOAD
