"""A history whose directory has moved, as with a restored data directory, has all that it had."""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.backends.history.file import HistoryFile
from actors.backends.history.store import HistoryStore
from actors.core.history import Batch, Happened, Position
from actors.model.event import Event

DAY_MS = 86_400_000


def opened(directory: Path) -> tuple[HistoryFile, HistoryStore]:
    file = HistoryFile(directory)
    return file, HistoryStore(file, keep_days=90, parquet=True)


def test_parquet_is_found_where_it_has_gone_to(tmp_path: Path) -> None:
    file, store = opened(tmp_path / "old")
    for n in range(1, 4):
        item = Happened(Event(n, 0, n * DAY_MS, "test", "subject", {}))
        batch = Batch(Position(n - 1), Position(n), (msgspec.Raw(msgspec.msgpack.encode(item)),))
        batch = msgspec.structs.replace(batch, after=store.position(n))
        assert store.write(batch) == Position(n)
    store.retain(now_ms=20 * DAY_MS)
    store.copy(tmp_path / "copy")
    store.close()
    (tmp_path / "old").rename(tmp_path / "moved")
    for directory in (tmp_path / "moved", tmp_path / "copy"):
        file, store = opened(directory)
        assert file.cursor().execute("select count(*) from events").fetchone() == (3,)
        assert len(list(file.parquet.glob("events/*/*.parquet"))) == 3
        store.close()
