"""The real consensus in place of the shared order: each node's own replica, over a log that lasts.

The product's replica, group, recovery and log writer, over the simulated network. The image is left
out: a node that begins again replays its whole log. Whoever executes a command first tells what it
is, and every other node must execute the same at that place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from actors import addresses
from actors.consensus_replica import ConsensusReplica
from actors.core.consensus.group import Apply
from actors.core.consensus.recovery_of_log import Recovery, found
from actors.core.ports import LogEntry
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWritten, WriteImage
from actors.log_writer import LogWriter
from actors.model.epoch import Epoch, Member
from actors.model.event import Event
from actors.runtime import Context, Effect, Effects, LoopActor, Tell, handles
from tests.sim.cluster.host import ClusterHost
from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.violation import ViolationError

__all__ = ["TempoOrder"]

_CLUSTER = "sim"


class _Log:
    """A machine's log: what was appended is durable."""

    def __init__(self, first: LogEntry) -> None:
        self._entries = [first]

    @property
    def last_index(self) -> int:
        return self._entries[-1].index

    def replay(self, after: int) -> Iterator[LogEntry]:
        return (entry for entry in list(self._entries) if entry.index > after)

    def append(self, entries: list[LogEntry]) -> None:
        self._entries.extend(entries)

    def truncate_before(self, index: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Image(LoopActor):
    """Takes all that it is given, and keeps nothing: the log is never cut."""

    @handles(WriteImage)
    def write(self, message: WriteImage, context: Context) -> Effects:
        assert context.sender is not None, "the replica asks"
        return [Tell(context.sender, ImageWritten(message.applied_index))]


class _Replica(ConsensusReplica):
    """Tells what it executes, and keeps the events as the shared order's replica does."""

    executed: Callable[[int, tuple[Txn, ...]], None]
    events: list[Event]

    def _apply(self, batch: Apply) -> Iterator[Effect]:
        self.executed(batch.index, batch.txns)
        for effect in super()._apply(batch):
            if isinstance(effect, Tell) and effect.to == addresses.EVENT_BUS:
                self.events.extend(effect.message.events)
            yield effect


class TempoOrder(SharedOrder):
    """What was executed, by index; `entries` as far as it is known without a hole."""

    def __init__(self, host: ClusterHost, voters: tuple[str, ...]) -> None:
        super().__init__(host, voters)
        members = tuple(Member(voter) for voter in voters)
        self._epoch = Epoch(1, _CLUSTER, members, len(voters) // 2 + 1)
        self._logs = {voter: _Log(found(self._epoch)) for voter in voters}
        self._commands: list[tuple[Txn, ...]] = []

    def start(
        self, spawn: Callable[[str, Callable[[], Any]], None], node: str, incarnation: int
    ) -> tuple[State, Callable[[], None]]:
        """Recover a node's state; return it, and what spawns the actors that order."""
        log, state = self._logs[node], State()
        recovery = Recovery(node, _CLUSTER, b"", 0)
        for entry in log.replay(0):
            for batch in recovery.replay(entry):
                self._executed(batch.index, batch.txns)
                for txn in batch.txns:
                    state.apply(txn)
        events = state.take_events()
        chain = recovery.finish(log.last_index, incarnation)

        def replica() -> _Replica:
            made = _Replica(
                chain,
                state,
                node=node,
                backlog=ImageBacklog({}, []),
                is_linked=lambda other: other in self.up and self.host.reaches(node, other),
            )
            made.executed = self._executed
            made.events = events
            return made

        def start() -> None:
            self.up.add(node)
            spawn(addresses.LOG, lambda: LogWriter(log, fatal=_ignore, observe_fsync=_ignore))
            spawn(addresses.IMAGE, _Image)
            spawn(addresses.REPLICA, replica)

        return state, start

    def _executed(self, index: int, txns: tuple[Txn, ...]) -> None:
        """Note a command, or compare it with what another node has executed at this place."""
        known = self._commands
        if index <= len(known):
            if known[index - 1] != txns:
                raise ViolationError("C-q", f"command {index} is not the same at two nodes")
            return
        if index != len(known) + 1:
            raise ViolationError("C-q", f"command {index} is executed, {len(known)} are known")
        known.append(txns)
        for txn in txns:
            node = txn.session.node if txn.session is not None else ""
            self.entries.append((node, 0, 0, txn))


def _ignore(_: object) -> None:
    pass
