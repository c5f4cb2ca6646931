"""A node goes on alone when the quorum is lost for good: a new cluster of one, of what it has.

The new image is made beside the present one and put in its place like a snapshot, so a crash leaves
either the one or the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.core.consensus.position import Position, encode_position
from actors.core.ports import Row, StateStore
from actors.core.restore import forced_txns, leaped
from actors.core.snapshot import Arrived
from actors.core.store.state import State
from actors.core.store.txn import Committed
from actors.model.epoch import Epoch, Member
from jobd.node.data_directory import NodeDirectory, new_node_id
from jobd.node.storage import Recovered, recover
from jobd.node.wiring.snapshots import IncomingFolder, install_arrived
from jobd.node.wiring.stores import engine_of, open_store

__all__ = ["Forced", "force_epoch", "look"]


class Forced(NamedTuple):
    """What a node has, or goes on with: `members` are the voters of its epoch."""

    cluster: str
    epoch: int
    members: tuple[str, ...]
    revision: int
    executed: int


def look(directory: NodeDirectory) -> Forced:
    """Return what a stopped node has. Raises Corrupt, DataDirectory."""
    install_arrived(directory.path)
    with closing(_Disk(directory)) as disk:
        found = disk.recovered
        epoch = found.group.epoch
        return Forced(
            epoch.cluster, epoch.number, epoch.nodes, found.state.revision, found.group.index
        )


def force_epoch(directory: NodeDirectory, now_ms: int) -> Forced:
    """Make a stopped node a cluster of its own. Raises Corrupt, Conflict (no room to leap)."""
    data, node, cluster = directory.path, directory.node_id, new_node_id()
    install_arrived(data)
    engine = engine_of(data)
    incoming = IncomingFolder(data, engine)
    with closing(_Disk(directory)) as disk:
        found = disk.recovered
        copy = incoming.copy(disk.store)
    before, index = found.group.epoch, found.group.index
    me = next((m for m in before.members if m.node == node), Member(node))
    epoch = Epoch(before.number + 1, cluster, (me,), 1, index)
    with closing(copy):
        _write(copy, found.unwritten_rows.values(), found.state, b"")
        stored, state = copy.load(), State()
        state.restore(leaped(stored.revision), stored.rows, stored.sessions)
        rows: list[Row] = []
        for txn in forced_txns(
            state,
            node=node,
            old=before.cluster,
            cluster=cluster,
            revision=stored.revision,
            now_ms=now_ms,
        ):
            result = state.apply(txn)
            assert isinstance(result, Committed), "nobody else changes this state"
            rows += [Row(key, result.revision, value) for key, value in txn.ops]
        position = Position(epoch, index, (0, (0, 0, 0)), (), 0)
        _write(copy, rows, state, encode_position(position))
        copy.flush()
    events = (*found.unwritten_events, *state.take_events())
    incoming.complete(Arrived(engine, cluster, state.revision, forced=True, events=events))
    install_arrived(data)
    directory.belong(cluster)
    return Forced(cluster, epoch.number, epoch.nodes, state.revision, index)


def _write(store: StateStore, rows: Iterable[Row], state: State, position: bytes) -> None:
    store.write(
        rows,
        applied_index=0,
        revision=state.revision,
        sessions=state.sessions.dump(),
        position=position,
    )


class _Disk:
    """What a stopped node has on disk, open."""

    def __init__(self, directory: NodeDirectory) -> None:
        data: Path = directory.path
        self.store = open_store(engine_of(data), data)
        self._events = EventSegments.open(data / "events")
        self._log = SegmentLog.open(data / "log")
        self.recovered: Recovered = recover(
            self._log,
            self.store,
            self._events,
            node=directory.node_id,
            cluster=directory.cluster_id,
        )

    def close(self) -> None:
        """Release the files."""
        self._log.close()
        self._events.close()
        self.store.close()
