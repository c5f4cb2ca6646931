"""The interface of a replicated group: `step(input, now) -> Effects`, sans-IO.

Actors see only this, whatever orders behind it. Inputs say what happened; effects say what is to
be done, in the order of their fields:

    append   written to the log and made durable, then answered with `Synced` or `NotSynced`
    send     handed to the transport now: what they rest on is durable already
    apply    these batches are applied to the state, in this order, and the tickets answered
    refuse   these tickets are answered with the error, their transactions were not ordered
    ready    these reads may be served from the state as it is now
    forward  these are for a voter: this node has no vote
    behind   the state is too old to catch up by commands: fetch a snapshot

The group itself holds back each message until the records that it rests on are durable, so a
driver can't get that order wrong. `now_ms` is monotonic, of this process.
"""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple, Protocol

import msgspec

from actors import limits
from actors.core.consensus.messages import Packet
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.errors import InvalidInput, JobdError, TooLarge
from actors.model.epoch import Epoch

__all__ = [
    "Alive",
    "Apply",
    "Behind",
    "Effects",
    "Group",
    "GroupStatus",
    "Imaged",
    "Input",
    "NotSynced",
    "Read",
    "Receive",
    "Reconfigure",
    "Send",
    "Submit",
    "Synced",
    "Tick",
    "check_bounds",
]


class Submit(msgspec.Struct, frozen=True):
    """Order this transaction; its answer goes to the ticket (0: nobody waits)."""

    ticket: int
    txn: Txn


class Reconfigure(msgspec.Struct, frozen=True):
    """Seal the present epoch and begin `epoch`; its transaction is the last one of the old.

    Refused with Conflict when another change came first.
    """

    ticket: int
    txn: Txn
    epoch: Epoch


class Read(msgspec.Struct, frozen=True):
    """A linearizable read: `ready` has the ticket once the state shows all that ended before."""

    ticket: int


class Synced(msgspec.Struct, frozen=True):
    """Everything up to this index is durable."""

    system_lane: ClassVar[bool] = True  # never behind, nor refused for, what waits for it
    index: int


class NotSynced(msgspec.Struct, frozen=True):
    """The records above `index` were refused with nothing written (the disk is full)."""

    system_lane: ClassVar[bool] = True
    index: int
    error: JobdError


class Receive(msgspec.Struct, frozen=True):
    """A packet of another node came; `sender` is that node, as the link knows it."""

    sender: str
    packet: Packet


class Tick(msgspec.Struct, frozen=True):
    """Some time has passed: retry, recover, state what changed. Due as `tick_ms` says."""


class Alive(msgspec.Struct, frozen=True):
    """What the failure detector believes: a hint, never a reason to decide.

    `leader` starts recoveries: the first voter that is not suspected.
    """

    nodes: frozenset[str]
    leader: str


class Imaged(msgspec.Struct, frozen=True):
    """The image of the state has durably what was executed up to this command."""

    index: int


Input = Submit | Reconfigure | Read | Synced | NotSynced | Receive | Tick | Alive | Imaged


class Apply(msgspec.Struct, frozen=True):
    """One ordered batch; `tickets[i]` waits for the result of `txns[i]`, 0 is nobody.

    `index` is its place among the executed commands of all epochs. `epoch` begins behind it.
    """

    index: int
    txns: tuple[Txn, ...]
    tickets: tuple[int, ...]
    epoch: Epoch | None = None


class Send(NamedTuple):
    """A packet for another node."""

    to: str
    packet: Packet


class Behind(NamedTuple):
    """The state must come from a snapshot of this node, which has executed so many commands."""

    donor: str
    executed: int


class Effects(NamedTuple):
    """What a step asks for; the order of the fields is the order of doing."""

    append: tuple[LogEntry, ...] = ()
    send: tuple[Send, ...] = ()
    apply: tuple[Apply, ...] = ()
    refuse: tuple[tuple[int, JobdError], ...] = ()
    ready: tuple[int, ...] = ()
    forward: tuple[Submit | Read, ...] = ()
    behind: Behind | None = None


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a group says of itself, for `/cluster` and metrics. `lag` is in commands.

    `role`: solo, voter or learner. `fast`, `slow` and `recovered` count commands that this node
    decided. `unstable_ms` is the age of the oldest command that is known and not executed.
    """

    role: str
    epoch: Epoch
    index: int
    fast: int = 0
    slow: int = 0
    recovered: int = 0
    lag: int = 0
    unstable_ms: int = 0
    peers: dict[str, int] = {}  # node -> how many commands it has executed, as far as known


class Group(Protocol):
    """What orders transactions."""

    def step(self, event: Input, now_ms: int) -> Effects:
        """Take one input and say what is to be done."""

    @property
    def epoch(self) -> Epoch:
        """The present epoch."""

    @property
    def index(self) -> int:
        """How many commands are executed."""

    @property
    def tick_ms(self) -> int:
        """How soon the next Tick is to come, 0: none is needed."""

    @property
    def log_floor(self) -> int:
        """The image of this moment makes the log's records up to this index unnecessary."""

    def position(self) -> bytes:
        """Return what the image must say of consensus, beside the state of this moment."""

    def status(self, now_ms: int) -> GroupStatus:
        """Return what it says of itself."""


_ENCODER: Final = msgspec.msgpack.Encoder()


def check_bounds(txn: Txn) -> bytes:
    """Return the encoded transaction. Raises TooLarge, InvalidInput when over a limit."""
    if len(txn.ops) > limits.TXN_OPS:
        raise TooLarge(f"a transaction of {len(txn.ops)} ops is over TXN_OPS ({limits.TXN_OPS})")
    for key, value in txn.ops:
        if len(key) > limits.KEY_BYTES:
            raise InvalidInput(f"a key of {len(key)} bytes is over KEY_BYTES ({limits.KEY_BYTES})")
        if value is not None and len(value) > limits.VALUE_BYTES:
            raise TooLarge(
                f"the value of {key} has {len(value)} bytes, over VALUE_BYTES "
                f"({limits.VALUE_BYTES})"
            )
    try:
        encoded = _ENCODER.encode(txn)
    except (OverflowError, RecursionError, TypeError, ValueError) as error:
        # Of an event's data, the one part without types: nothing that comes in may end the replica.
        raise InvalidInput(f"it can't be stored: {error}") from None
    if len(encoded) > limits.TXN_BYTES:
        raise TooLarge(
            f"a transaction of {len(encoded)} bytes is over TXN_BYTES ({limits.TXN_BYTES})"
        )
    return encoded
