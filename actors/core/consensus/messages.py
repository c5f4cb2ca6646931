"""What replicas say to each other. A packet carries all messages of a step to one node.

Every packet carries its sender's promise statement: which timestamps it will never issue again
(all up to `clock`) and which of these belong to commands (`attached`). Statements are cumulative
state, so a packet may be lost, doubled or overtaken. Commands that the receiver has executed are
left out; `floor` is how many that are: a receiver that has executed fewer must ignore the statement
(what was left out would look as if it belonged to no command).
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Accept",
    "Accepted",
    "BumpTo",
    "ClockOf",
    "CommandId",
    "Commit",
    "CommitRequest",
    "Fetch",
    "Fetched",
    "Message",
    "Packet",
    "Payload",
    "Propose",
    "ProposeAck",
    "ReadClock",
    "Recover",
    "RecoverAck",
    "RecoverNack",
]

# (replica, incarnation of its node, number within it): never used twice.
CommandId = tuple[int, int, int]
Quorum = tuple[int, ...]


class Propose(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """MPropose: the coordinator proposes `ts` to a member of the fast quorum."""

    id: CommandId
    command: bytes
    quorum: Quorum
    ts: int


class Payload(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """MPayload: the command alone, for who is not in the fast quorum, or asked."""

    id: CommandId
    command: bytes
    quorum: Quorum


class ProposeAck(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """MProposeAck: a member's own proposal, at least the coordinator's."""

    id: CommandId
    ts: int


class Commit(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """MCommit: decided. The command comes along only for who asked for it."""

    id: CommandId
    ts: int
    command: bytes = b""
    quorum: Quorum = ()


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """MConsensus, Paxos 2a: accept `ts` at this ballot."""

    id: CommandId
    command: bytes
    quorum: Quorum
    ts: int
    ballot: int


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """MConsensusAck, Paxos 2b."""

    id: CommandId
    ballot: int


class Recover(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """MRec, Paxos 1a, with the payload, so that who has not seen the command can join."""

    id: CommandId
    command: bytes
    quorum: Quorum
    ballot: int


class RecoverAck(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """MRecAck, Paxos 1b. `joined`: the proposal was made for the recovery, not for the fast path.

    `accepted_ballot` 0: nothing was accepted.
    """

    id: CommandId
    proposal: int
    joined: bool
    accepted_ballot: int
    accepted_ts: int
    ballot: int


class RecoverNack(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """MRecNAck: a higher ballot was joined."""

    id: CommandId
    ballot: int


class CommitRequest(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Ask what became of these; answered with Commit, or Payload while undecided."""

    ids: tuple[CommandId, ...]


class ReadClock(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """MReadReq: the first half of a linearizable read."""

    number: int


class ClockOf(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """MReadAck: the highest timestamp that the sender has issued or skipped."""

    number: int
    clock: int


class BumpTo(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Skip to this timestamp; the packet of the answer says so."""

    ts: int


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Ask for the executed commands from this index on."""

    index: int


class Fetched(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Executed commands from `first` on, in order; empty with `oldest` > `first`: too old."""

    first: int
    commands: tuple[tuple[int, int, CommandId, bytes], ...]  # (epoch, ts, id, command)
    oldest: int  # the first index that the sender still has


Message = (
    Propose
    | Payload
    | ProposeAck
    | Commit
    | Accept
    | Accepted
    | Recover
    | RecoverAck
    | RecoverNack
    | CommitRequest
    | ReadClock
    | ClockOf
    | BumpTo
    | Fetch
    | Fetched
)


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """The messages of one replica to one node, with its statement.

    `replica` is 0 for a learner, which states nothing. `executed` and `imaged` are how many
    commands the sender has executed, and has durably in its image.
    """

    cluster: str
    epoch: int
    replica: int
    incarnation: int
    executed: int
    imaged: int
    clock: int
    attached: tuple[tuple[int, CommandId], ...]
    floor: int
    messages: tuple[Message, ...]
