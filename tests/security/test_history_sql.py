"""SQL of users reaches the history's tables and nothing else, and changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import Raw, msgpack

from actors import limits
from actors.backends.history.file import HistoryFile
from actors.backends.history.sql import HistorySql
from actors.backends.history.store import HistoryStore
from actors.core.history import Batch, Happened, Position
from actors.core.history_port import QueryResult, RunQuery
from actors.errors import InvalidInput, JobdError, TooLarge, Unavailable
from actors.model.event import Event

SECRET = "the-secret-of-the-machine"
OUR_VARIABLE = [SECRET]  # what DuckDB would find by its name, if it were let to

WRITES = """
insert into events values (1)
delete from events
update events set type = 'x'
create table mine (i int)
create temp table mine (i int)
create view mine as select 1
create macro mine() as 1
drop view events
alter table internal.hot_events rename to mine
truncate internal.hot_events
merge into internal.hot_events using events as e on false when not matched then insert
with gone as (delete from internal.hot_events returning *) select * from gone
comment on view events is 'x'
"""
STATEMENTS = """
copy events to '{directory}/out.csv'
copy (select 1) to '{directory}/history/parquet/out.parquet'
copy internal.hot_events from '{directory}/secret'
export database '{directory}/out'
import database '{directory}/out'
attach '{directory}/other.duckdb'
detach jobd
use memory
install httpfs
load httpfs
set memory_limit = '100GB'
set lock_configuration = false
reset memory_limit
pragma database_list
pragma enable_profiling
call pragma_version()
call enable_logging()
checkpoint
vacuum
analyze
begin
commit
prepare p as select 1
execute p
deallocate p
explain select 1
explain analyze delete from events
pivot events on type
"""
READS = """
select * from read_text('{directory}/secret')
select * from read_blob('{directory}/secret')
select * from read_csv('{directory}/secret')
select * from read_csv_auto('{directory}/secret')
select * from read_json('{directory}/secret')
select * from read_ndjson('{directory}/secret')
select * from read_parquet('{directory}/secret')
select * from parquet_scan('{directory}/secret')
select * from parquet_metadata('{directory}/secret')
select * from sniff_csv('{directory}/secret')
select * from read_duckdb('{directory}/history/jobd.duckdb')
select * from '{directory}/secret'
from '{directory}/secret'
select * from "{directory}/secret"
select * from '{directory}/history/jobd.duckdb'
select * from read_blob('{directory}/history/jobd.duckdb')
select * from read_text('{directory}/history/parquet/../../secret')
select * from glob('{directory}/*')
select * from read_text('https://example.org/')
select (select content from read_text('{directory}/secret'))
select * from (select * from (from read_text('{directory}/secret')))
with x as (from read_text('{directory}/secret')) from x
with recursive x as (select content as c from read_text('{directory}/secret') union from x) from x
select * from events where exists (from read_text('{directory}/secret'))
select * from events order by (select content from read_text('{directory}/secret'))
select * from range(1), lateral (from read_text('{directory}/secret'))
select * from query('from read_text(''{directory}/secret'')')
select * from query_table('{directory}/secret')
select * from json_execute_serialized_sql(json_serialize_sql('select 1'))
select getenv('HOME')
select current_setting('home_directory')
select * from duckdb_settings()
select * from duckdb_secrets()
select * from which_secret('a', 's3')
select * from duckdb_logs()
select * from duckdb_databases()
select * from OUR_VARIABLE
select * from secret
"""
DANGEROUS = """
select * from pandas_scan(4096)
select * from arrow_scan(4096, 4096, 4096)
select * from arrow_scan_dumb(4096, 4096, 4096)
select * from python_map_function(4096)
select * from seq_scan('events')
select * from checkpoint()
select * from force_checkpoint()
select * from enable_logging()
select * from disable_checkpoint_on_shutdown()
select * from truncate_duckdb_logs()
select write_log('x')
select pg_sleep(60)
select sleep_ms(60000)
select nextval('s')
"""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


class Fixture:
    """A history of one event, beside a file with a secret."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "secret").write_text(SECRET)
        self.file = HistoryFile(directory / "history")
        self.store = HistoryStore(self.file, keep_days=9, parquet=True)
        event = Happened(Event(1, 0, 1_800_000_000_000, "custom", "x", {"n": 1}))
        self.store.write(Batch(Position(), Position(2), (Raw(msgpack.encode(event)),)))
        self.hung = threading.Event()
        self.sql = HistorySql(self.file, hung=self.hung.set)

    def run(self, sql: str, timeout_s: float = 10.0, max_rows: int = 100) -> QueryResult:
        text = sql.replace("{directory}", str(self.directory))
        return self.sql.run(RunQuery(text, [], timeout_s, max_rows))

    def content(self) -> set[str]:
        return {str(path) for path in self.directory.rglob("*") if "spill" not in path.parts}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fixture]:
    made = Fixture(tmp_path_factory.mktemp("sql"))
    yield made
    made.store.close()


@pytest.mark.parametrize("sql", lines(WRITES) + lines(STATEMENTS) + lines(READS) + lines(DANGEROUS))
def test_it_is_refused_and_leaves_nothing(history: Fixture, sql: str) -> None:
    before = history.content()
    began = time.monotonic()
    with pytest.raises(InvalidInput) as refused:
        history.run(sql)
    assert SECRET not in str(refused.value)
    assert time.monotonic() - began < 5
    assert history.content() == before
    assert history.run("select revision, data->>'n' from events").rows == [[1, "1"]]
    assert history.run("show tables").rows[1] == ["events"]


@pytest.mark.parametrize(
    "sql",
    ["select 1; select 2", "select 1; drop view events", "", ";", "selec 1", "select 1 select 2"],
)
def test_a_query_is_one_statement(history: Fixture, sql: str) -> None:
    with pytest.raises(InvalidInput):
        history.run(sql)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select count(*) from events", [[1]]),
        ("from events select type", [["custom"]]),
        ("select 1 -- and no more", [[1]]),
        ("select now() is not null -- a zoned time\n;", [[True]]),
        ("values (1), (2)", [[1], [2]]),
        ("select * from range(3) order by 1 desc", [[2], [1], [0]]),
        ("select unnest([1, 2])", [[1], [2]]),
        ("with t as (select 7 as n) select n from t", [[7]]),
        ("select key from json_each('{\"a\": 1}')", [["a"]]),
        ("select 'a;b', 'read_text'", [["a;b", "read_text"]]),
        ("select time from events", [["2027-01-15T08:00:00.000Z"]]),
        ("select {'a': [1, null]}, map {'k': 1.5}", [[{"a": [1, None]}, {"k": "1.5"}]]),
        ("select 'nan'::double, 1e400::varchar, 170141183460469231731687303715884105727", None),
        ("select 'x'::blob, uuid() is not null, interval 90 second, date '2026-01-02'", None),
    ],
)
def test_what_a_user_wants_goes(
    history: Fixture, sql: str, rows: list[list[object]] | None
) -> None:
    found = history.run(sql).rows
    assert rows is None or found == rows


def test_zoned_times_come_as_text(history: Fixture) -> None:
    result = history.run("select timestamptz '2026-01-02 03:04:05+00' as t, 1 as one -- end")
    assert result.types == ["TIMESTAMP WITH TIME ZONE", "INTEGER"]
    assert result.rows == [["2026-01-02 03:04:05+00", 1]]


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(10000000) a, range(10000000) b",
        "with recursive t(i) as (select 1 union all select i + 1 from t) select count(*) from t",
        "select max(md5(a.range::text || b.range::text)) from range(100000) a, range(100000) b",
    ],
)
def test_what_takes_too_long_is_interrupted(history: Fixture, sql: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="took longer"):
        history.run(sql, timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert history.run("select 1").rows == [[1]]


def test_what_heeds_no_interrupt_is_told(history: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.backends.history.sql._HEED_S", 0.1)
    assert not history.hung.is_set()
    with suppress(Unavailable):
        history.run("select levenshtein(repeat('a', 40000), repeat('b', 40000))", timeout_s=0.3)
    assert history.hung.is_set()
    assert history.run("select 1").rows == [[1]]


def test_rows_and_bytes_of_an_answer_are_bounded(history: Fixture) -> None:
    cut = history.run("select * from range(1000)", max_rows=7)
    assert (len(cut.rows), cut.truncated) == (7, True)
    whole = history.run("select * from range(7)", max_rows=7)
    assert (len(whole.rows), whole.truncated) == (7, False)
    large = history.run("select repeat('x', 200000) from range(100)", max_rows=100)
    assert large.truncated
    assert 0 < len(large.rows) * 200_000 <= limits.QUERY_BYTES
    endless = history.run("select * from range(1000000000)", max_rows=3)
    assert endless.rows == [[0], [1], [2]]


def test_a_query_that_needs_too_much_memory_fails_alone(history: Fixture) -> None:
    hungry = "select list(a.range) from range(100000000) a"
    with pytest.raises(JobdError):
        history.run(hungry, timeout_s=20.0)
    assert history.run("select 1").rows == [[1]]


def test_a_text_that_is_too_long_is_refused(history: Fixture) -> None:
    with pytest.raises(TooLarge):
        history.run("select " + "1, " * limits.QUERY_SQL_BYTES + "1")


def test_a_deep_query_is_refused_or_answered(history: Fixture) -> None:
    for sql in (
        "select " + "(" * 3000 + "1" + ")" * 3000,
        "select " + "not " * 3000 + "true",
        "select * from " + "(select * from " * 1500 + "range(1)" + ")" * 1500,
    ):
        with suppress(InvalidInput):
            history.run(sql)
    assert history.run("select 1").rows == [[1]]
