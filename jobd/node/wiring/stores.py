"""The state store of a data directory: which engine it has, and its copies between engines."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.backends.state_copy import export_ndjson, import_ndjson, migrate
from actors.backends.state_memory import MemoryStateStore
from actors.backends.state_rocksdb import RocksdbStateStore
from actors.backends.state_sqlite import SqliteStateStore
from actors.core.ports import StateStore
from actors.errors import ConfigError, Conflict, Corrupt, DataDirectory
from jobd.node.storage import recover

__all__ = [
    "engine_of",
    "export_store",
    "holds_state",
    "import_store",
    "migrate_store",
    "open_events",
    "open_store",
    "remove_store",
    "store_name",
]

_FILES: Final = {"sqlite": "state.sqlite", "rocksdb": "state.rocksdb"}


def store_name(engine: str) -> str:
    """Return what an engine's image is called in a data directory. Raises ConfigError for memory.

    An image in memory leaves nothing behind that could be opened again.
    """
    if engine not in _FILES:
        raise ConfigError(
            f"storage.engine {engine} has no image on disk",
            remedy=f"use one that has: {', '.join(_FILES)}",
        )
    return _FILES[engine]


def engine_of(data: Path) -> str:
    """Return the engine whose image a data directory holds. Raises DataDirectory."""
    engine = _engine_of(data)
    if engine is None:
        raise DataDirectory(f"{data} holds no state", remedy="name a data directory with --data")
    return engine


def holds_state(data: Path) -> bool:
    """Say whether a data directory has an image."""
    return _engine_of(data) is not None


def open_store(engine: str, data: Path) -> StateStore:
    """Open the image of a data directory. Raises ConfigError when another engine wrote it."""
    found = _engine_of(data)
    if found is not None and found != engine:
        raise ConfigError(
            f"{data} holds its state in {found}, storage.engine is {engine}",
            remedy=f"set storage.engine: {found}, or run `jobctl store migrate --to {engine}`",
        )
    return _open(engine, data)


def remove_store(data: Path) -> None:
    """Remove the image of a data directory, if there is one."""
    for name in _FILES.values():
        _remove(data / name)


def open_events(directory: Path) -> EventSegments:
    """Open the event log. It is derived: a damaged one costs old events and no job."""
    try:
        return EventSegments.open(directory)
    except Corrupt as error:
        raise Corrupt(
            error.message,
            remedy=f"move {directory} away: the node starts without the events of before",
        ) from error


def migrate_store(data: Path, to: str) -> int:
    """Move the state of a stopped node's directory to another engine; return its rows."""
    engine = engine_of(data)
    if engine == to:
        raise Conflict(f"{data} holds its state in {engine} already")
    source, dest = _open(engine, data), _open(to, data)
    try:
        keys = migrate(source, dest)
    except BaseException:
        dest.close()
        _remove(data / _FILES[to])
        raise
    finally:
        source.close()
    dest.close()
    _remove(data / _FILES[engine])
    return keys


def export_store(data: Path, file: IO[bytes]) -> int:
    """Write the state of a stopped node's directory as NDJSON; return its rows.

    Raises Conflict while the log holds more than the image: start and stop the node first.
    """
    with (
        closing(_open(engine_of(data), data)) as store,
        closing(SegmentLog.open(data / "log")) as log,
        closing(open_events(data / "events")) as events,
    ):
        # Whose the log is matters only to who goes on with it.
        if recover(log, store, events, node="", cluster="").unwritten_rows:
            raise Conflict(
                f"the log of {data} is ahead of its image (the node did not stop cleanly)",
                remedy="start the node and stop it with SIGTERM, then export",
            )
        return export_ndjson(store, file)


def import_store(data: Path, file: IO[bytes], engine: str) -> int:
    """Read an export into a directory that holds no state yet; return its rows."""
    if _engine_of(data) is not None or (data / "log").exists():
        raise DataDirectory(
            f"{data} holds state already", remedy="import into an empty directory with --data"
        )
    store = _open(engine, data)
    try:
        keys = import_ndjson(file, store)
        stored = store.load()
        store.write(
            (),
            applied_index=stored.applied_index,
            revision=stored.revision,
            sessions=stored.sessions,
            position=b"",  # it is of the cluster that was exported, this is another one
        )
        store.flush()
        # The log goes on behind the image: its first record is the one after it.
        SegmentLog.open(data / "log", first_index=store.load().applied_index + 1).close()
    except BaseException:
        store.close()
        _remove(data / _FILES[engine])
        raise
    store.close()
    return keys


def _open(engine: str, data: Path) -> StateStore:
    match engine:
        case "rocksdb":
            return RocksdbStateStore.open(data / _FILES["rocksdb"])
        case "memory":
            return MemoryStateStore.open()
        case _:
            return SqliteStateStore.open(data / _FILES["sqlite"])


def _engine_of(data: Path) -> str | None:
    return next((engine for engine, name in _FILES.items() if (data / name).exists()), None)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
