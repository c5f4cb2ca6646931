"""What a history promises of its port: each batch once, with its position, whatever is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from actors import limits
from actors.backends.history.file import HistoryFile
from actors.backends.history.records import HistoryReading
from actors.backends.history.sql import HistorySql
from actors.backends.history.store import HistoryStore
from actors.core.history import Batch, EndedJob, EndedTask, Happened, Item, Position, TaskTotals
from actors.core.history_port import FindJob, ListEvents, ListJobs, ReadRange, RunQuery
from actors.model.event import Event
from actors.model.ids import make_id
from actors.model.job import Job, Output, Summary, Task
from actors.model.spec import JobSpec

DAY_MS = 86_400_000
TODAY_MS = 1_800_000_000_000
JOINED = "select id, finished_at, value from jobs join outputs on job_id = id order by id"


class History:
    """A history in a directory, and what is written to it."""

    def __init__(self, directory: Path, *, keep_days: int = 90, parquet: bool = True) -> None:
        self.file = HistoryFile(directory)
        self.store = HistoryStore(self.file, keep_days=keep_days, parquet=parquet)
        self.records = HistoryReading(self.file)
        self.sql = HistorySql(self.file, hung=lambda: None)

    def write(self, *items: Item, upto: int) -> Position:
        raws = tuple(msgspec.Raw(msgspec.msgpack.encode(item)) for item in items)
        return self.store.write(Batch(self.store.position(1 << 60), Position(upto), raws))

    def rows(self, sql: str) -> list[list[Any]]:
        return self.sql.run(RunQuery(sql, [], 10.0, 1000)).rows

    def files(self) -> list[Path]:
        return sorted(self.file.parquet.glob("*/*/*.parquet"))


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path / "history")
    yield made
    made.store.close()


def ended(number: int, *, age_days: int = 0, name: str = "one", **fields: Any) -> EndedJob:
    """Return an ended job that was made some days ago."""
    ended_ms = TODAY_MS - age_days * DAY_MS
    summary = Summary(1, "succeeded", "exit", "n1", ended_ms - 50, ended_ms, 0, cpu_ms=7)
    job = Job(
        state="succeeded", since_ms=ended_ms, n=1, started_ms=ended_ms - 50, last=(summary,),
        name=name, type="command", submitted_ms=ended_ms - 80, labels={"team": "data"},
    )  # fmt: skip
    job_id = make_id(ended_ms - 80, number)
    output = Output(b'{"n":1}', 7)
    return EndedJob(job_id, number, job, JobSpec(name=name, type="command"), None, output, **fields)


def event(revision: int, subject: str = "", *, age_days: int = 0) -> Happened:
    time_ms = TODAY_MS - age_days * DAY_MS
    return Happened(Event(revision, 0, time_ms, "jobd:job:completed", subject, {"n": revision}))


def fan_out(number: int, tasks: int) -> tuple[EndedJob, list[EndedTask]]:
    one = ended(number)
    totals = TaskTotals({"succeeded": tasks}, tasks, 7 * tasks, 0)
    job = msgspec.structs.replace(
        one, job=msgspec.structs.replace(one.job, tasks=tasks, last=()), tasks=totals, output=None
    )
    task = Task(state="succeeded", since_ms=one.job.since_ms, n=1, last=one.job.last)
    return job, [EndedTask(job.id, index, task, one.output) for index in range(tasks)]


def test_a_batch_is_stored_once(history: History) -> None:
    item = ended(1)
    batch = Batch(Position(), Position(5), (msgspec.Raw(msgspec.msgpack.encode(item)),))
    for _ in range(3):
        assert history.store.write(batch) == Position(5)
    assert history.rows("select count(*) from jobs") == [[1]]
    assert history.rows("select count(*) from attempts") == [[1]]


def test_a_batch_that_begins_elsewhere_changes_nothing(history: History) -> None:
    history.write(ended(1), upto=5)
    ahead = Batch(Position(6), Position(9), (msgspec.Raw(msgspec.msgpack.encode(ended(7))),))
    assert history.store.write(ahead) == Position(5)
    assert history.rows("select count(*) from jobs") == [[1]]


def test_a_batch_that_can_not_be_stored_leaves_nothing(history: History) -> None:
    broken = Happened(Event(2, 0, 1 << 62, "custom", ""))  # DuckDB has no such time
    with pytest.raises(Exception, match="can't be written"):
        history.write(ended(1), broken, upto=5)
    assert history.store.position(10) == Position()
    assert history.rows("select count(*) from jobs") == [[0]]
    history.write(ended(1), upto=5)
    assert history.rows("select count(*) from jobs") == [[1]]


def test_it_is_all_there_after_it_was_closed(tmp_path: Path) -> None:
    first = History(tmp_path / "history")
    first.write(ended(1), event(1), upto=5)
    first.store.close()
    again = History(tmp_path / "history")
    assert again.store.position(10) == Position(5)
    assert again.rows("select revision from events") == [[1]]
    again.store.close()


def test_a_job_is_found_as_it_was(history: History) -> None:
    one, (job, tasks) = ended(1), fan_out(2, 5)
    history.write(one, *tasks, job, upto=5)
    found = history.records.find(FindJob(one.id))
    assert found is not None
    assert (found.job, found.tasks, found.more) == (one, (), False)
    fan = history.records.find(FindJob(job.id))
    assert fan is not None
    assert (fan.job, list(fan.tasks), fan.more) == (job, tasks, False)
    rest = history.records.find(FindJob(job.id, 3))
    assert rest is not None
    assert [task.index for task in rest.tasks] == [3, 4]
    assert history.records.find(FindJob(make_id(TODAY_MS, 99))) is None


def test_old_days_go_to_parquet_and_are_asked_as_before(history: History) -> None:
    jobs = [ended(n, age_days=n) for n in range(1, 31)]
    history.write(*jobs, *(event(n, age_days=n) for n in range(1, 31)), upto=40)
    before = history.rows(JOINED)
    history.store.retain(TODAY_MS)
    assert {path.parent.parent.name for path in history.files()} == {
        "attempts", "events", "jobs", "outputs",
    }  # fmt: skip
    hot = history.rows("select count(*) from internal.hot_jobs")[0][0]
    assert hot == 7
    after = history.rows(JOINED)
    assert after == before
    for job in jobs:
        found = history.records.find(FindJob(job.id))
        assert found is not None
        assert found.job == job
    page = history.records.list(ListJobs(limit=500))
    assert [job.id for job in page.jobs] == sorted((job.id for job in jobs), reverse=True)
    events = history.records.events(ListEvents((0, 0), 500))
    assert [e.revision for e in events.events] == list(range(1, 31))
    history.store.retain(TODAY_MS)  # again is the same
    assert history.rows("select count(*) from jobs") == [[30]]


def test_rows_that_come_late_join_their_day(history: History) -> None:
    history.write(ended(1, age_days=20), upto=2)
    history.store.retain(TODAY_MS)
    history.write(ended(2, age_days=20), upto=3)
    history.store.retain(TODAY_MS)
    assert len([path for path in history.files() if "jobs" in path.parts]) == 2
    assert history.rows("select count(*), count(distinct id) from jobs") == [[2, 2]]


def test_the_retention_drops_days_wherever_they_are(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_days=10)
    history.write(*(ended(n, age_days=n) for n in (1, 8, 11, 30)), upto=40)
    history.store.retain(TODAY_MS)
    assert history.rows("select count(*) from jobs") == [[2]]
    later_ms = TODAY_MS + 5 * DAY_MS
    history.store.retain(later_ms)
    assert history.rows("select count(*) from jobs") == [[1]]
    history.store.retain(later_ms + 10 * DAY_MS)
    assert history.rows("select count(*) from jobs") == [[0]]
    assert history.files() == []
    history.store.close()


def test_without_parquet_all_stays_in_the_file(tmp_path: Path) -> None:
    history = History(tmp_path / "history", parquet=False)
    history.write(ended(1, age_days=60), upto=2)
    history.store.retain(TODAY_MS)
    assert history.files() == []
    assert history.rows("select count(*) from jobs") == [[1]]
    history.store.close()


def test_the_oldest_days_go_when_all_is_too_large(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.write(*(ended(n, age_days=n) for n in range(5)), upto=40)
    monkeypatch.setattr(
        "actors.backends.history.days.Days.size_bytes",
        lambda self: (11 << 30) * (len(history.rows("select 1 from jobs")) > 3),
    )
    history.store.retain(TODAY_MS)
    days = history.rows("select distinct finished_at::DATE from jobs order by 1")
    today = datetime.fromtimestamp(TODAY_MS / 1000, UTC).date()
    assert days == [[str(today - timedelta(days=n))] for n in (2, 1, 0)]


def test_a_job_is_forgotten_also_in_parquet(history: History) -> None:
    old, other, new = ended(1, age_days=20), ended(2, age_days=20), ended(3)
    history.write(old, other, new, event(1, f"job/{old.id}", age_days=20), upto=5)
    history.store.retain(TODAY_MS)
    assert history.store.delete(old.id)
    assert history.store.delete(new.id)
    assert not history.store.delete(new.id)
    assert history.rows("select id from jobs") == [[other.id]]
    assert history.rows("select job_id from attempts") == [[other.id]]
    assert history.rows("select job_id from outputs") == [[other.id]]
    assert history.rows("select count(*) from events") == [[1]]
    assert old.id.encode() not in b"".join(
        path.read_bytes() for path in history.files() if "events" not in path.parts
    )


def test_what_a_crash_left_in_the_parquet_directory_goes(tmp_path: Path) -> None:
    first = History(tmp_path / "history")
    first.write(ended(1, age_days=20), upto=2)
    first.store.retain(TODAY_MS)
    first.store.close()
    (path,) = [p for p in first.files() if "jobs" in p.parts]
    orphan = path.with_name("1.parquet")
    orphan.write_bytes(path.read_bytes())
    again = History(tmp_path / "history")
    assert not orphan.exists()
    assert again.rows("select count(*) from jobs") == [[1]]
    again.store.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "newer"])
def test_a_file_that_can_not_be_used_is_moved_aside(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = History(tmp_path / "history")
    first.write(ended(1, age_days=20), upto=2)
    first.store.retain(TODAY_MS)
    first.store.close()
    file = tmp_path / "history" / "jobd.duckdb"
    match damage:
        case "garbage":
            file.write_bytes(b"\0" * 20_000)
        case "truncated":
            file.write_bytes(file.read_bytes()[: 12 * 1024])
        case _:
            with duckdb.connect(str(file)) as connection:
                connection.execute("update internal.meta set version = 99")
    again = History(tmp_path / "history")
    assert again.store.position(10) == Position()
    assert again.rows("select count(*) from jobs") == [[0]]
    assert "moved to" in caplog.text
    again.write(ended(1), upto=2)
    again.store.close()
    names = {path.name.partition(".aside-")[0] for path in (tmp_path / "history").glob("*.aside-*")}
    assert {"jobd.duckdb", "parquet"} <= names


def test_a_history_beyond_the_store_is_of_another_store(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history.write(ended(1), upto=100)
    assert history.store.position(99) == Position(100)
    assert history.store.position(50) == Position()
    assert "moved to" in caplog.text
    assert history.rows("select count(*) from jobs") == [[0]]


def test_lists_filter_in_sql(history: History) -> None:
    jobs = [ended(n, name=f"n{n}") for n in range(1, 6)]
    history.write(*jobs, upto=10)

    def names(**query: Any) -> list[str]:
        return [job.job.name for job in history.records.list(ListJobs(**query)).jobs]

    assert names(limit=2) == ["n5", "n4"]
    assert names(before=jobs[3].id) == ["n3", "n2", "n1"]
    assert names(names=("n1", "n4")) == ["n4", "n1"]
    assert names(states=("failed",)) == []
    assert len(names(states=("failed", "succeeded"), types=("command",))) == 5
    assert names(labels={"team": ("data", "web")}, limit=1) == ["n5"]
    assert names(labels={"team": (None,)}, limit=1) == ["n5"]
    assert names(labels={"team": ("web",)}) == []
    assert names(labels={"none": (None,)}) == []
    assert names(part="n3") == ["n3"]
    assert names(part=jobs[0].id) == ["n1"]
    assert names(prefix=jobs[1].id[:26]) == ["n2"]
    assert names(since_ms=TODAY_MS) == []
    assert len(names(since_ms=TODAY_MS - 80, until_ms=TODAY_MS)) == 5
    assert names(until_ms=TODAY_MS - 80) == []
    assert names(oldest=jobs[3].id) == ["n5", "n4"]
    assert history.records.list(ListJobs(limit=5)).more is False
    assert history.records.list(ListJobs(limit=4)).more is True


def test_events_are_read_from_a_place_on(history: History) -> None:
    history.write(*(event(n, f"job/{n % 2}") for n in range(3, 9)), upto=10)
    found = history.records.events(ListEvents((4, 0), 2, ("jobd:job:*",), "job/0"))
    assert [e.revision for e in found.events] == [6, 8]
    assert (found.oldest, found.more) == (3, False)
    assert history.records.events(ListEvents((4, 0), 10, ("custom*",))).events == ()
    assert history.records.events(ListEvents((4, 0), 1)).more


def test_another_history_gets_all_in_batches(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the bounds of a batch, also across days in Parquet and within a fan-out."""
    job, tasks = fan_out(4, 25)
    history.write(ended(1, age_days=30), event(1, age_days=30), ended(2), event(2), upto=4)
    history.write(*tasks, job, event(4), event(5), ended(6), upto=9)
    history.store.retain(TODAY_MS)
    assert history.files()
    tables = ("jobs", "tasks", "attempts", "outputs", "events")
    for rows in (1, 7, 5_000):
        monkeypatch.setattr(limits, "HISTORY_BATCH_ROWS", rows)
        copy = History(tmp_path / f"copy{rows}")
        batches = 0
        while True:
            after = copy.store.position(1 << 60)
            batch = history.records.range(ReadRange(after))
            assert batch.after == after and len(batch.items) <= rows
            if batch.position == after:
                break
            assert copy.store.write(batch) == batch.position
            batches += 1
        assert copy.store.position(1 << 60) == Position(9)
        assert batches >= 30 / rows
        for table in tables:
            sql = f"select * from {table} order by all"
            assert copy.rows(sql) == history.rows(sql), table
        assert copy.records.find(FindJob(job.id)) == history.records.find(FindJob(job.id))
        copy.store.close()
