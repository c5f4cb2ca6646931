"""One suite for every StateStore: memory, sqlite, rocksdb."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from actors.backends.state_copy import export_ndjson, import_ndjson, migrate
from actors.backends.state_memory import MemoryStateStore
from actors.backends.state_rocksdb import RocksdbStateStore
from actors.backends.state_sqlite import SqliteStateStore
from actors.core.ports import Row, StateStore
from actors.errors import ConfigError, Conflict, Corrupt, DataDirectory

Engine = type[MemoryStateStore] | type[SqliteStateStore] | type[RocksdbStateStore]
ENGINES: dict[str, Engine] = {
    "memory": MemoryStateStore,
    "sqlite": SqliteStateStore,
    "rocksdb": RocksdbStateStore,
}
ON_DISK = ["sqlite", "rocksdb"]
_KEYS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.sampled_from(["a", "a/", "a/\x00", "a/é", "a/\U0010ffff", "a0", "b", "\x00", "zz" * 200]),
)
_VALUES = st.binary(max_size=40) | st.sampled_from([0, 9, 1 << 16, 1 << 20]).map(bytes)


def _need(name: str) -> None:
    if name == "rocksdb":
        try:
            import rocksdict  # noqa: F401
        except ImportError:
            if "rocksdb" in os.environ.get("JOBD_REQUIRE", "").split(","):
                pytest.fail("rocksdict is not installed")
            pytest.skip("rocksdict is not installed")


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    _need(request.param)
    return ENGINES[request.param]


@pytest.fixture(params=ON_DISK)
def disk_engine(request: pytest.FixtureRequest) -> Engine:
    _need(request.param)
    return ENGINES[request.param]


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[StateStore]:
    opened = engine.open(tmp_path / "state")
    yield opened
    opened.close()


def put(store: StateStore, rows: list[Row], at: int, sessions: bytes = b"") -> None:
    store.write(rows, applied_index=at, revision=at, sessions=sessions, position=b"p%d" % at)


def fill(store: StateStore, batches: int, rows: int = 50) -> None:
    for b in range(1, batches + 1):
        put(store, [_row(b, i) for i in range(rows)], b, b"s%d" % b)


def _row(batch: int, i: int) -> Row:
    deleted = (batch + i) % 7 == 0
    return Row(f"job/{(batch * 31 + i) % 400:05d}", batch, None if deleted else b"%d." % batch * 20)


# -- (a) against a sorted dict


class AgainstDict(RuleBasedStateMachine):
    """Any sequence of batches, reads and reopens agrees with a plain dict."""

    engine: Engine = MemoryStateStore
    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.model: dict[str, Row] = {}
        self.path = self.directory / f"s{time.monotonic_ns()}"
        self.store: Any = self.engine.open(self.path)

    @rule(ops=st.lists(st.tuples(_KEYS, st.none() | _VALUES), max_size=20))
    def write(self, ops: list[tuple[str, bytes | None]]) -> None:
        self.at += 1
        rows = [Row(key, self.at, value) for key, value in ops]
        put(self.store, rows, self.at, b"%d" % self.at)
        for row in rows:
            if row.value is None:
                self.model.pop(row.key, None)
            else:
                self.model[row.key] = row

    @rule(key=_KEYS)
    def get(self, key: str) -> None:
        assert self.store.get(key) == self.model.get(key)

    @rule(start=_KEYS | st.just(""), end=st.none() | _KEYS, limit=st.none() | st.integers(0, 5))
    def scan(self, start: str, end: str | None, limit: int | None) -> None:
        expected = [
            self.model[k] for k in sorted(self.model) if k >= start and (end is None or k < end)
        ]
        assert self.store.scan(start, end, limit=limit) == expected[:limit]

    @rule()
    def reopen(self) -> None:
        if self.engine is not MemoryStateStore:
            self.store.close()
            self.store = self.engine.open(self.path)

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @invariant()
    def loads(self) -> None:
        state = self.store.load()
        assert (state.applied_index, state.revision) == (self.at, self.at)
        assert state.position == (b"p%d" % self.at if self.at else b"")
        assert list(state.rows) == [self.model[key] for key in sorted(self.model)]
        assert self.store.stats()["keys"] == len(self.model)

    def teardown(self) -> None:
        self.store.close()


def test_it_agrees_with_a_dict(engine: Engine, tmp_path: Path) -> None:
    machine = type("Machine", (AgainstDict,), {"engine": engine, "directory": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- (b) a batch under SIGKILL

_CHILD = """
import sys
from pathlib import Path
from actors.core.ports import Row
from tests.conformance.test_statestore import ENGINES
store = ENGINES[sys.argv[1]].open(Path(sys.argv[2]))
at = store.load().applied_index
while True:
    at += 1
    rows = [Row(f"k{i}", at, b"%d" % at) for i in range(32)]
    store.write(rows, applied_index=at, revision=at, sessions=b"", position=b"")
    if at % 5 == 0:
        store.flush()
        print(at, flush=True)
"""


@pytest.mark.parametrize("name", ON_DISK)
def test_a_killed_writer_leaves_whole_batches_and_all_flushed_ones(
    name: str, tmp_path: Path
) -> None:
    _need(name)
    path = tmp_path / "state"
    for round_ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, name, str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        acked = int(child.stdout.readline())
        time.sleep(0.01 * round_)
        child.send_signal(signal.SIGKILL)
        acked = max([acked, *map(int, child.stdout.read().split())])
        child.stdout.close()
        child.wait()
        store = ENGINES[name].open(path)
        state = store.load()
        assert state.applied_index >= acked
        assert {row.revision for row in state.rows} == {state.applied_index}
        store.close()


# -- (d), (f), (i) copies and digests


def test_a_checkpoint_opens_and_is_the_state_at_its_moment(engine: Engine, tmp_path: Path) -> None:
    store, copy_at = engine.open(tmp_path / "state"), tmp_path / "snap" / "copy"
    copy_at.parent.mkdir()
    fill(store, 20)
    expected, digest = list(store.load().rows), store.digest()
    store.checkpoint(copy_at)
    put(store, [Row("later", 21, b"x")], 21)
    copy = engine.open(copy_at)
    assert copy.load()[:3] == (20, 20, b"s20")
    assert copy.load().position == b"p20"
    assert list(copy.load().rows) == expected
    assert copy.digest() == digest != store.digest()
    put(copy, [Row("own", 22, b"y")], 22)
    assert store.get("own") is None
    copy.close()
    store.close()


def test_the_same_batches_give_the_same_digest_in_every_engine(tmp_path: Path) -> None:
    digests = set()
    for name, engine in ENGINES.items():
        _need(name)
        store = engine.open(tmp_path / name)
        fill(store, 40)
        digests.add(store.digest())
        store.close()
    assert len(digests) == 1


def test_the_digest_depends_on_content_and_not_on_the_way_to_it(store: StateStore) -> None:
    empty = store.digest()
    put(store, [Row("a", 1, b"x"), Row("b", 1, b"y")], 1)
    one = store.digest()
    put(store, [Row("b", 2, b"z"), Row("c", 2, b"z")], 2)
    put(store, [Row("b", 1, b"y"), Row("c", 2, None), Row("c", 2, b"q"), Row("c", 2, None)], 1)
    assert store.digest() == one
    put(store, [Row("a", 1, b"X")], 1)
    assert store.digest() != one
    put(store, [Row("a", 0, None), Row("b", 0, None)], 0)
    assert store.digest() == empty


@pytest.mark.parametrize("source", list(ENGINES))
def test_it_migrates_and_exports_to_every_engine(
    engine: Engine, source: str, tmp_path: Path
) -> None:
    _need(source)
    first = ENGINES[source].open(tmp_path / "from")
    fill(first, 15)
    put(first, [Row("ключ\x00", 16, bytes(range(256)))], 16, b"\xff\x00")
    to, text = engine.open(tmp_path / "to"), tmp_path / "export"
    rows = migrate(first, to)
    assert rows == len(to.scan("")) == first.stats()["keys"]
    assert (to.digest(), to.load()[:3]) == (first.digest(), (16, 16, b"\xff\x00"))
    assert to.load().position == b"p16"
    with pytest.raises(Conflict):
        migrate(first, to)
    with text.open("wb") as file:
        export_ndjson(to, file)
    again = engine.open(tmp_path / "again")
    with text.open("rb") as file:
        import_ndjson(file, again)
    assert again.digest() == first.digest()
    assert again.load().position == b"p16"
    for each in (first, to, again):
        each.close()


def test_an_export_cut_short_or_altered_is_refused() -> None:
    import io

    store, file = MemoryStateStore.open(), io.BytesIO()
    fill(store, 3)
    export_ndjson(store, file)
    lines = file.getvalue().splitlines(keepends=True)
    for broken in (lines[:-1], lines[:3] + lines[4:], lines[1:], [], [*lines[:2], b"{}\n"]):
        with pytest.raises(Corrupt):
            import_ndjson(broken, MemoryStateStore.open())
    altered = [line.replace(b'"revision":2', b'"revision":1') for line in lines]
    with pytest.raises(Corrupt):
        import_ndjson(altered, MemoryStateStore.open())


# -- (g) beside a busy loop


def test_writing_from_a_thread_does_not_stall_the_main_one(engine: Engine, tmp_path: Path) -> None:
    store = engine.open(tmp_path / "state")
    done = threading.Event()

    def write() -> None:
        for b in range(1, 40):
            put(store, [Row(f"job/{i:04}", b, b"v" * 200) for i in range(256)], b)
        done.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        stalls = [_longest_stall(write, done) for _ in range(3)]
    finally:
        sys.setswitchinterval(interval)
    assert min(stalls) < 0.020, f"stalls of {stalls} s"  # the machine itself may stall a thread
    store.close()


def _longest_stall(write: Callable[[], None], done: threading.Event) -> float:
    done.clear()
    thread = threading.Thread(target=write)
    thread.start()
    longest, before = 0.0, time.perf_counter()
    while not done.is_set():
        time.sleep(0.0002)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    thread.join()
    return longest


# -- opening


def test_without_its_library_rocksdb_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "rocksdict", None)  # as if it were not installed
    with pytest.raises(ConfigError) as error:
        RocksdbStateStore.open(tmp_path / "state")
    assert "pip install 'jobd-cluster[rocksdb]'" in error.value.remedy


def test_it_is_for_one_process_at_a_time(disk_engine: Engine, tmp_path: Path) -> None:
    store = disk_engine.open(tmp_path / "state")
    put(store, [Row("a", 1, b"x")], 1)
    with pytest.raises(DataDirectory):
        disk_engine.open(tmp_path / "state")
    store.close()
    disk_engine.open(tmp_path / "state").close()
