"""State images whose files were altered or have no room: said at load, never served."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.backends.state_rocksdb import RocksdbStateStore
from actors.backends.state_sqlite import SqliteStateStore
from actors.core.ports import Row, StateStore
from actors.errors import Corrupt, DataDirectory, JobdError, ReadOnly

FLIPS = int(os.environ.get("JOBD_FLIPS", "500"))  # the campaign of a release: 10,000
ENGINES: dict[str, type[SqliteStateStore] | type[RocksdbStateStore]] = {
    "sqlite": SqliteStateStore,
    "rocksdb": RocksdbStateStore,
}
History = dict[int, list[Row]]  # applied index -> the rows then


def fill(store: StateStore, batches: int) -> History:
    model: dict[str, Row] = {}
    history: History = {0: []}
    for b in range(1, batches + 1):
        rows = [
            Row(f"job/{(b * 31 + i) % 150:05d}", b, None if (b + i) % 5 == 0 else b"%d." % b * 20)
            for i in range(40)
        ]
        store.write(rows, applied_index=b, revision=b, sessions=b"s%d" % b, position=b"")
        for row in rows:
            model[row.key] = row
        history[b] = [model[k] for k in sorted(model) if model[k].value is not None]
    return history


def served(engine: type[StateStore], path: Path, history: History, floor: int) -> bool:
    """Whether the image was served, which then must be a state that once was, or refused."""
    try:
        store = engine.open(path)
    except JobdError:
        return False
    try:
        state = store.load()
        rows = list(state.rows)
    except (Corrupt, DataDirectory):
        return False
    finally:
        store.close()
    assert state.applied_index >= floor
    assert state.sessions == (b"s%d" % state.applied_index if state.applied_index else b"")
    assert rows == history[state.applied_index]
    return True


@pytest.mark.parametrize("name", ["sqlite", "rocksdb"])
@pytest.mark.parametrize("flushed", [True, False])
def test_every_bit_flip_is_detected_or_harmless(name: str, flushed: bool, tmp_path: Path) -> None:
    if name == "rocksdb":
        pytest.importorskip("rocksdict", reason="rocksdict is not installed")
    store = ENGINES[name].open(tmp_path / "a" / "state")
    history = fill(store, 12)
    if flushed:
        store.flush()
        store.close()
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    else:  # as after kill -9: what was written is in the WAL
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        store.close()
    images = {p: p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    images = {p: data for p, data in images.items() if data and p.name not in ("LOCK", "LOG")}
    rng, outcomes = random.Random(3), [0, 0]
    for _ in range(FLIPS if name == "sqlite" else FLIPS // 12):
        path = rng.choices(list(images), weights=[len(data) for data in images.values()])[0]
        altered = bytearray(images[path])
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        work = tmp_path / "work"
        shutil.copytree(tmp_path / "b", work)
        (work / path.relative_to(tmp_path / "b")).write_bytes(altered)
        outcomes[served(ENGINES[name], work / "state", history, 12 if flushed else 0)] += 1
        shutil.rmtree(work)
    if flushed and name == "sqlite":
        assert outcomes[0] > FLIPS // 4


@pytest.mark.parametrize("loss", ["missing", "extra", "older", "mark"])
def test_rows_that_do_not_add_up_are_refused(loss: str, tmp_path: Path) -> None:
    import sqlite3

    store = SqliteStateStore.open(tmp_path / "state")
    history = fill(store, 5)
    store.close()
    change = {
        "missing": "DELETE FROM kv WHERE key = (SELECT max(key) FROM kv)",
        "extra": "INSERT INTO kv SELECT x'00', revision, value, crc FROM kv LIMIT 1",
        "older": "UPDATE kv SET revision = revision - 1 WHERE key = (SELECT max(key) FROM kv)",
        "mark": "DELETE FROM meta",
    }[loss]
    with sqlite3.connect(tmp_path / "state") as connection:
        connection.execute(change)
    connection.close()
    assert not served(SqliteStateStore, tmp_path / "state", history, 5)


def test_a_row_is_checked_whenever_it_is_read(tmp_path: Path) -> None:
    import sqlite3

    store = SqliteStateStore.open(tmp_path / "state")
    history = fill(store, 5)
    store.close()
    with sqlite3.connect(tmp_path / "state") as connection:
        connection.execute("UPDATE kv SET value = x'00' WHERE key = (SELECT max(key) FROM kv)")
    connection.close()
    store = SqliteStateStore.open(tmp_path / "state")
    with pytest.raises(Corrupt):
        store.get(history[5][-1].key)
    with pytest.raises(Corrupt):
        store.scan("")
    assert store.get(history[5][0].key) == history[5][0]
    store.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mount = tmp_path / "mnt"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(mount)], capture_output=True
    )
    if done.returncode:
        reason = f"can't mount a tmpfs: {done.stderr.decode().strip()}"
        if "root" in os.environ.get("JOBD_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_file_system_makes_it_read_only_until_there_is_room(small: Path) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(bytes(2 << 20))
    store, at = SqliteStateStore.open(small / "state"), 0
    with pytest.raises(ReadOnly):
        for at in range(1, 1000):
            store.write(
                [Row(f"k{at}", at, os.urandom(40_000))],
                applied_index=at,
                revision=at,
                sessions=b"",
                position=b"",
            )
    assert store.load().applied_index == at - 1
    assert len(list(store.load().rows)) == at - 1
    ballast.unlink()
    store.write(
        [Row(f"k{at}", at, b"x")], applied_index=at, revision=at, sessions=b"", position=b""
    )
    store.flush()
    store.close()
    store = SqliteStateStore.open(small / "state")
    assert len(list(store.load().rows)) == at
    store.close()


def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteStateStore.open(tmp_path / "state")
    history = fill(store, 2)
    half = [Row("job/00000", 3, None), Row("new", 3, b"x"), Row("worse", 2**63, b"x")]
    with pytest.raises(OverflowError):  # SQLite has no such integers; no revision comes near it
        store.write(half, applied_index=3, revision=3, sessions=b"", position=b"")
    assert list(store.load().rows) == history[2]
    store.write([Row("new", 3, b"y")], applied_index=3, revision=3, sessions=b"s3", position=b"")
    assert store.load().applied_index == 3
    assert store.get("new") == Row("new", 3, b"y")
    store.close()


def test_a_data_directory_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(Corrupt):
        SqliteStateStore.open(tmp_path / "state")
    (tmp_path / "dir").mkdir()
    with pytest.raises(DataDirectory):
        SqliteStateStore.open(tmp_path / "dir")
