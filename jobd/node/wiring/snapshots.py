"""Snapshots on disk: what is being handed out, what is being received, and the change of images.

    outgoing/   the checkpoint that other nodes read
    incoming/   the image being received; `complete` says that it is to take the place of ours

The change is made before anything else is opened. From the moment that `complete` is durable it is
decided, and each step is done again until all are: a crash between any two of them costs nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from actors.backends.disk import refusing
from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.core.ports import StateStore
from actors.core.snapshot import Arrived, executed, placed
from actors.errors import Corrupt
from jobd.node.data_directory import write_atomically
from jobd.node.wiring.stores import open_store, remove_store, store_name

__all__ = ["IncomingFolder", "OutgoingFolder", "install_arrived"]

_log: Final = logging.getLogger(__name__)
_COMPLETE: Final = "complete"
_PLACED: Final = "placed"  # the new image has our log's place in its mark


class OutgoingFolder:
    """Implements Outgoing for a data directory."""

    def __init__(self, data: Path, engine: str) -> None:
        self._folder = data / "outgoing"
        self._engine = engine

    @refusing("the copy of the image")
    def make_room(self) -> Path:
        """Drop the checkpoint that there is; return the path for another."""
        self.drop()
        self._folder.mkdir(mode=0o700)
        return self._folder / store_name(self._engine)

    def open(self) -> StateStore:
        """Open the checkpoint that was written there."""
        return open_store(self._engine, self._folder)

    def drop(self) -> None:
        """Drop the checkpoint, if there is one."""
        shutil.rmtree(self._folder, ignore_errors=True)


class IncomingFolder:
    """Implements IncomingFiles for a data directory."""

    def __init__(self, data: Path, engine: str) -> None:
        self._folder = data / "incoming"
        self.engine = engine

    @refusing("the image being received")
    def begin(self) -> StateStore:
        """Drop what was begun before; return an empty image. Raises ConfigError for memory."""
        self._clear()
        return open_store(self.engine, self._folder)

    @refusing("the image being made")
    def copy(self, store: StateStore) -> StateStore:
        """Drop what was begun before; return a copy of an image."""
        store.checkpoint(self._clear())
        return open_store(self.engine, self._folder)

    def _clear(self) -> Path:
        path = self._folder / store_name(self.engine)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        return path

    @refusing("the image being received")
    def complete(self, arrived: Arrived) -> None:
        """Have it put in the place of the present image at the next open: durable on return."""
        _sync(self._folder)
        _sync(self._folder.parent)
        write_atomically(self._folder / _COMPLETE, msgspec.json.encode(arrived), sync=True)


@refusing("the change to a snapshot")
def install_arrived(data: Path) -> Arrived | None:
    """Put what arrived complete in the place of the image; drop what is not complete.

    Returns what was put there, None when there was nothing. Raises Corrupt, ConfigError.
    """
    folder = data / "incoming"
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        return None
    arrived = msgspec.json.decode((folder / _COMPLETE).read_bytes(), type=Arrived)
    name = store_name(arrived.engine)
    if (folder / name).exists():
        if not _place(data, folder, arrived):
            shutil.rmtree(folder)
            return None
        remove_store(data)
        (folder / name).replace(data / name)
        _sync(data)
    if not (data / name).exists():
        raise Corrupt(
            f"{folder} says that a snapshot is complete, and there is none",
            remedy=f"restore {data} from a backup",
        )
    _begin_events(data, arrived)
    _begin_log(data, arrived)
    (folder / _COMPLETE).unlink()
    _sync(folder)
    shutil.rmtree(folder)
    _log.info("goes on from a snapshot at revision %d", arrived.revision)
    return arrived


def _place(data: Path, folder: Path, arrived: Arrived) -> bool:
    """Give the new image the place of the old one in our log, once (T4).

    Returns False when the old one has come further by itself meanwhile (T5).
    """
    if (folder / _PLACED).exists():
        return True
    with closing(open_store(arrived.engine, folder)) as store:
        stored = store.load()
        applied_index, position = 0, stored.position
        if not arrived.forced:
            applied_index, own = _own_place(data)
            if own and executed(own) >= executed(stored.position):
                _log.info("the snapshot at revision %d came too late", arrived.revision)
                return False
            position = placed(own, stored.position)
        store.write(
            (),
            applied_index=applied_index,
            revision=stored.revision,
            sessions=stored.sessions,
            position=position,
        )
        store.flush()
    write_atomically(folder / _PLACED, b"", sync=True)
    return True


def _own_place(data: Path) -> tuple[int, bytes]:
    for engine in ("sqlite", "rocksdb"):
        if (data / store_name(engine)).exists():
            with closing(open_store(engine, data)) as store:
                stored = store.load()
                return stored.applied_index, stored.position
    return 0, b""


def _begin_events(data: Path, arrived: Arrived) -> None:
    """Begin the event log behind the snapshot: what is between it and ours was never here."""
    if arrived.forced:
        with closing(EventSegments.open(data / "events")) as events:
            events.append(list(arrived.events))
            events.flush()
        return
    shutil.rmtree(data / "events", ignore_errors=True)
    EventSegments.open(data / "events", floor=arrived.last_event).close()


def _begin_log(data: Path, arrived: Arrived) -> None:
    """Begin the log anew where nobody is left whom this node has promised anything."""
    if arrived.forced:
        shutil.rmtree(data / "log", ignore_errors=True)
        SegmentLog.open(data / "log").close()


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
