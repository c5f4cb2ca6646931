"""What a backup has of the backends: copying from them, looking into a copy, beginning anew."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from actors.backends.artifacts import Artifacts
from actors.backends.audit_log import copy_trail
from actors.backends.disk import refusing
from actors.backends.event_segments import EventSegments
from actors.backends.job_log_archive import copy_archive
from actors.backends.segment_log import SegmentLog
from actors.core.ports import Row, StateStore
from actors.core.restore import leaped, starting_txns
from actors.core.sealing import rewrapped
from actors.core.store.state import State
from actors.core.store.txn import Committed, Op
from actors.errors import Corrupt
from actors.image_writer import ImageCopied
from actors.model import keys
from actors.model.codec import decode
from actors.model.event import Event
from actors.runtime import LoopHost
from jobd.node.backup_files import Origin, Progress, read_manifest, remove_staged, restore_files
from jobd.node.backups import Backups, name_staged, new_staging
from jobd.node.data_directory import NodeDirectory, filling, new_node_id
from jobd.node.history_process import HistoryProcess
from jobd.node.storage import recover
from jobd.node.wiring.seal_box import open_seal_box
from jobd.node.wiring.stores import engine_of, open_store, store_name

__all__ = ["backups_of", "check_state", "restore", "stage_stopped"]


def backups_of(
    host: LoopHost,
    directory: NodeDirectory,
    history: HistoryProcess,
    engine: str,
    store: StateStore,
) -> Backups:
    """Return what stages backups of a node; what an earlier process left is removed."""
    remove_staged(directory.path)
    return Backups(
        host,
        directory,
        history,
        engine=engine,
        state_name=partial(store_name, engine),
        image_bytes=lambda: store.stats()["bytes"],
        copy_files=partial(_copy_job_files, directory.path),
    )


@refusing("the copy of logs and artifacts")
def _copy_job_files(data: Path, dest: Path) -> None:
    """Copy what is beside the state: job logs, artifacts, audit trail, keys.

    After the state: what that names is here by then, and what it does not name yet does no harm.
    Raises ReadOnly, StorageFailed.
    """
    Artifacts(data / "artifacts").checkpoint(dest / "artifacts")
    copy_archive(data / "joblogs", dest / "joblogs")
    copy_trail(data / "audit", dest / "audit")
    with suppress(FileNotFoundError):
        shutil.copytree(data / "keys", dest / "keys")


def stage_stopped(directory: NodeDirectory, now_ms: int) -> Path:
    """Stage a backup of a stopped node's directory. Raises Corrupt, ReadOnly, StorageFailed."""
    data = directory.path
    engine, into = engine_of(data), new_staging(data)
    if (data / "history").exists():
        from actors.backends.history.file import HistoryFile  # DuckDB takes 30 MiB, not for a node

        with closing(HistoryFile(data / "history")) as history:
            history.copy(into / "history")
    copied = _copy_stopped(directory, engine, into)
    _copy_job_files(data, into)
    return name_staged(into, directory, engine, copied, now_ms)


def _copy_stopped(directory: NodeDirectory, engine: str, dest: Path) -> ImageCopied:
    """Copy image and event log, with what only the log has."""
    data = directory.path
    events = EventSegments.open(data / "events")
    with (
        closing(open_store(engine, data)) as store,
        closing(events),
        closing(SegmentLog.open(data / "log")) as log,
    ):
        recovered = recover(
            log, store, events, node=directory.node_id, cluster=directory.cluster_id
        )
        store.checkpoint(dest / store_name(engine))
        events.checkpoint(dest / "events")
    state = recovered.state
    with closing(open_store(engine, dest)) as copy:
        copy.write(
            recovered.unwritten_rows.values(),
            applied_index=recovered.last_index,
            revision=state.revision,
            sessions=state.sessions.dump(),
            position=b"",  # of a new cluster
        )
        copy.flush()
        digest = copy.digest()
    _append_events(dest, recovered.unwritten_events)
    return ImageCopied(recovered.last_index, state.revision, digest)


def check_state(backup: Path, origin: Origin) -> int:
    """Open a copy of a backup's image, read every row, and return how many there are.

    A copy, since to open an image is to write to it. Raises Corrupt.
    """
    name = store_name(origin.engine)
    with tempfile.TemporaryDirectory(prefix="jobd-verify-") as directory:
        source, copy = backup / name, Path(directory, name)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copyfile(source, copy)
        with closing(open_store(origin.engine, Path(directory))) as store:
            _check_digest(store, origin)
            rows = 0
            for row in store.load().rows:
                assert row.value is not None, "an image holds no deleted keys"
                decode(keys.kind(row.key), row.value)
                rows += 1
    return rows


def restore(backup: Path, data: Path, *, now_ms: int, progress: Progress) -> int:
    """Make an empty directory a node's that goes on from a backup; return its first revision.

    Raises Corrupt naming the file, DataDirectory, Conflict, ReadOnly, OSError: it is empty then.
    """
    manifest = read_manifest(backup)
    node = new_node_id()
    with filling(data, new_id=node):
        restore_files(backup, manifest, data, progress)
        return _begin_anew(data, node, manifest.origin, now_ms)


def _begin_anew(data: Path, node: str, origin: Origin, now_ms: int) -> int:
    """Make a restored image and event log a new cluster's; return its first revision.

    The rules are in `actors/core/restore.py`. Raises Corrupt, Conflict (no room to leap).
    """
    with closing(open_store(origin.engine, data)) as store:
        _check_digest(store, origin)
        stored, state = store.load(), State()
        state.restore(leaped(stored.revision), stored.rows, stored.sessions)
        sealing = rewrapped(state, open_seal_box(data), origin.node, node)
        rows = _start(state, origin, sealing, now_ms)
        store.write(
            rows,
            applied_index=stored.applied_index,
            revision=state.revision,
            sessions=state.sessions.dump(),
            position=b"",  # a new cluster of one node has no other's promises to keep
        )
        store.flush()
    _append_events(data, state.take_events())
    # The log goes on behind the image: its first record is the one after it.
    SegmentLog.open(data / "log", first_index=stored.applied_index + 1).close()
    return state.revision


def _start(state: State, origin: Origin, sealing: tuple[Op, ...], now_ms: int) -> list[Row]:
    rows: list[Row] = []
    for txn in starting_txns(
        state,
        cluster=origin.cluster,
        backup=origin.revision,
        made_ms=origin.made_ms,
        now_ms=now_ms,
        sealing=sealing,
    ):
        result = state.apply(txn)
        assert isinstance(result, Committed), "nobody else changes a state that is being restored"
        rows += [Row(key, result.revision, value) for key, value in txn.ops]
    return rows


def _check_digest(store: StateStore, origin: Origin) -> None:
    if store.digest() != origin.digest:
        raise Corrupt(
            f"the state has the digest {store.digest()}, the manifest says {origin.digest}",
            remedy="this backup is of no use: take another one",
        )


def _append_events(directory: Path, events: list[Event]) -> None:
    with closing(EventSegments.open(directory / "events")) as log:
        log.append(events)
        log.flush()
