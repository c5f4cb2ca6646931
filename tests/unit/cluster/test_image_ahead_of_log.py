"""An image that is ahead of the log when a node is killed, and then the power goes.

What is executed is logged without waiting for it, so the image may have a command that the log has
not. A restart goes on behind it, and the log with it: so it must not be lost any more.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

from actors.backends.event_segments import EventSegments
from actors.backends.state_memory import MemoryStateStore
from actors.core.consensus.command import encode_batch
from actors.core.consensus.messages import CommandId
from actors.core.consensus.position import Position, encode_position
from actors.core.consensus.records import EXECUTE, Executed, encode_record
from actors.core.consensus.recovery_of_log import found
from actors.core.ports import LogEntry, StateStore
from actors.model.epoch import Epoch, Member
from jobd.node.storage import Recovered, recover

EPOCH = Epoch(1, "c", (Member("a"), Member("b"), Member("c")), 2)


class Log:
    """Entries, all durable."""

    def __init__(self) -> None:
        self.entries = [found(EPOCH)]

    @property
    def last_index(self) -> int:
        return self.entries[-1].index

    def executed(self, command: int) -> None:
        record = Executed(1, command, command, id_of(command), encode_batch([]))
        self.entries.append(LogEntry(self.last_index + 1, EXECUTE, encode_record(record)))

    def replay(self, after: int) -> Iterator[LogEntry]:
        return (entry for entry in self.entries if entry.index > after)


class Forgetful(MemoryStateStore):
    """Keeps at a power loss what was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: MemoryStateStore = copy.deepcopy(self)

    def flush(self) -> None:
        kept = MemoryStateStore()
        kept._rows, kept._mark = copy.deepcopy(self._rows), self._mark
        self.durable = kept


def id_of(command: int) -> CommandId:
    return (1, 1, command)


def write(store: StateStore, command: int) -> None:
    ids = ((1, 1, ((1, command),)),)
    position = Position(EPOCH, command, (command, id_of(command)), ids, 100)
    store.write((), applied_index=1, revision=0, sessions=b"", position=encode_position(position))


def test_what_a_restart_rests_on_is_durable_before_anything_is_built_on_it(tmp_path: Path) -> None:
    events, log, store = EventSegments.open(tmp_path / "events"), Log(), Forgetful()

    def restart(image: StateStore) -> Recovered:
        return recover(log, image, events, node="a", cluster="c")  # type: ignore[arg-type]

    log.executed(1)
    write(store, 1)
    store.flush()
    write(store, 2)  # the log never came to write command 2 when the node was killed
    assert restart(store).group.index == 2
    log.executed(3)
    assert restart(store).group.index == 3
    assert restart(store.durable).group.index == 3, "after a power loss"
    events.close()
