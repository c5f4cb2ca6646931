"""The tables of the history, as data: their SQL and their reference page are made from this.

A column's values travel to DuckDB as one list for the whole batch (`insert … select unnest(?)`):
rows one by one are 25 times slower. `wire` is the type of that list's elements, `made` the
expression that turns one into the column's type.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["TABLES", "VERSION", "Column", "Table"]

VERSION: Final = 1


class Column(NamedTuple):
    """A column: its name and type, and what it means. `{}` in `made` is the value from the wire."""

    name: str
    type: str
    doc: str
    wire: str = ""
    made: str = "{}"


class Table(NamedTuple):
    """A table. `day` is the column whose day says which Parquet file a row goes to.

    Those of `hidden` hold records as the store had them, for the API; views leave them out. `job`
    is the column with a job's id, if there is one.
    """

    name: str
    doc: str
    day: str
    columns: tuple[Column, ...]
    hidden: tuple[Column, ...] = ()
    job: str = "job_id"

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """All columns, in the order of their values."""
        return self.columns + self.hidden

    @property
    def stored(self) -> str:
        """The table behind the view of this name: the days that are not in Parquet."""
        return f"internal.hot_{self.name}"

    @property
    def whole(self) -> str:
        """The view of all days and all columns."""
        return f"internal.{self.name}"

    def create(self) -> str:
        """Return the statement that makes the table."""
        columns = ", ".join(f"{column.name} {column.type}" for column in self.all_columns)
        return f"create table {self.stored} ({columns})"

    def views(self, files: list[str]) -> list[str]:
        """Return the statements that make its views over the table and Parquet files."""
        names = ", ".join(column.name for column in self.all_columns)
        whole = f"create or replace view {self.whole} as select {names} from {self.stored}"
        if files:
            listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
            whole += f" union all select {names} from read_parquet([{listed}])"
        shown = ", ".join(column.name for column in self.columns)
        view = f"create or replace view {self.name} as select {shown} from {self.whole}"
        return [whole, view]

    def insert(self) -> str:
        """Return the statement that adds rows, given one list for each column."""
        columns = self.all_columns
        made = ", ".join(c.made.format(c.name) for c in columns)
        lists = ", ".join(
            f"unnest(${i}::{c.wire or c.type}[]) as {c.name}" for i, c in enumerate(columns, 1)
        )
        return f"insert into {self.stored} select {made} from (select {lists})"


def _text(name: str, doc: str) -> Column:
    return Column(name, "VARCHAR", doc)


def _number(name: str, doc: str, type_: str = "BIGINT") -> Column:
    return Column(name, type_, doc)


def _time(name: str, doc: str) -> Column:
    return Column(name, "TIMESTAMP", f"{doc}, UTC", "BIGINT", "epoch_ms({})")


JOBS: Final = Table(
    "jobs",
    "One row for each job that has ended.",
    "finished_at",
    (
        _text("id", "The job's id; ids sort by the time they were made"),
        _number("revision", "The commit that ended it"),
        _text("name", "Its name"),
        _text("type", "`command`, `container` or `js`"),
        _text("state", "`succeeded`, `failed`, `cancelled` or `expired`"),
        _text("reason", "Why: `exit`, `timeout`, `cancelled`, …"),
        _text("detail", "The same for a person"),
        _number("exit_code", "Of its last attempt; null for a fan-out", "INTEGER"),
        _number("signal", "That ended its last attempt; null for a fan-out", "INTEGER"),
        Column(
            "labels",
            "MAP(VARCHAR, VARCHAR)",
            "`labels['team']`",
            "VARCHAR",
            "{}::JSON::MAP(VARCHAR, VARCHAR)",
        ),
        _text("node", "Where its last attempt ran; null for a fan-out"),
        _number("priority", "0 to 100", "INTEGER"),
        _number("tasks", "Members of its fan-out, else 1", "INTEGER"),
        _number("attempts", "Attempts that were made, of a fan-out of all its tasks", "INTEGER"),
        _time("submitted_at", "When it was accepted"),
        _time("started_at", "When its first attempt began; null when none did"),
        _time("finished_at", "When it ended"),
        _number("wait_ms", "From submitted to started, or to its end without a start"),
        _number("run_ms", "From started to finished; null when it was not started"),
        _number("cpu_ms", "Processor time of the attempts that are kept"),
        _number("max_rss_bytes", "The most memory that one process of them had"),
        _text("retry_of", "The job that this one repeats"),
        _text("principal", "The id of the token that submitted it"),
    ),
    (Column("record", "BLOB", "The job as the store had it, msgpack"),),
    job="id",
)
ATTEMPTS: Final = Table(
    "attempts",
    "One row for each attempt; of a task with more than eight, the last eight.",
    "ended_at",
    (
        _text("job_id", "The job's id"),
        _number("task", "The member of its fan-out, else 0", "INTEGER"),
        _number("attempt", "Counts from 1", "INTEGER"),
        _text("outcome", "`succeeded`, `failed`, `lost`, `cancelled`, …"),
        _text("reason", "Why"),
        _text("detail", "The same for a person"),
        _text("node", "Where it ran"),
        _time("started_at", "When it was claimed"),
        _time("ended_at", "When it ended"),
        _number("run_ms", "Between the two"),
        _number("exit_code", "Of its command", "INTEGER"),
        _number("signal", "That ended it", "INTEGER"),
        _number("cpu_ms", "Processor time"),
        _number("max_rss_bytes", "The most memory that one process had"),
    ),
)
OUTPUTS: Final = Table(
    "outputs",
    "One row for each output of a job, or of a task of a fan-out.",
    "ended_at",
    (
        _text("job_id", "The job's id"),
        _number("task", "The member of its fan-out, else 0", "INTEGER"),
        Column("value", "JSON", "The output; null when it is an artifact", "VARCHAR"),
        _number("size_bytes", "Its size"),
        _text("digest", "The artifact's sha256 in hex, else null"),
        _time("ended_at", "When the job ended"),
    ),
)
TASKS: Final = Table(
    "tasks",
    "One row for each member of a fan-out.",
    "ended_at",
    (
        _text("job_id", "The job's id"),
        _number("task", "Counts from 0", "INTEGER"),
        _text("state", "`succeeded`, `failed` or `cancelled`"),
        _text("reason", "Why"),
        _number("attempts", "Attempts that were made", "INTEGER"),
        _number("cpu_ms", "Processor time of the attempts that are kept"),
        _number("max_rss_bytes", "The most memory that one process of them had"),
        _time("ended_at", "When it ended"),
    ),
    (Column("record", "BLOB", "The task as the store had it, msgpack"),),
)
EVENTS: Final = Table(
    "events",
    "One row for each event.",
    "time",
    (
        _number("revision", "The commit that emitted it"),
        _number("k", "Its place in that commit; its id is `<revision>-<k>`", "INTEGER"),
        _time("time", "When"),
        _text("type", "`jobd:job:completed`, …, or a type of your own"),
        _text("subject", "What it is about, for example `job/<id>`"),
        Column("data", "JSON", "What it says: `data->>'exit_code'`", "VARCHAR"),
        _text("trace", "The traceparent that it belongs to"),
    ),
    job="",
)
SAMPLES: Final = Table(
    "node_samples",
    "How the node was doing, once a minute while it has something to record.",
    "time",
    (
        _time("time", "When"),
        _text("node", "The node's id"),
        _number("revision", "The store's revision"),
        _number("slots", "Slots it has", "INTEGER"),
        _number("running", "Attempts that ran", "INTEGER"),
        _number("queued", "Attempts that waited for a slot", "INTEGER"),
        _number("cpu", "Cores that the node process used since the sample before", "DOUBLE"),
        _number("rss_bytes", "Memory of the node process"),
    ),
    job="",
)
TABLES: Final = (ATTEMPTS, EVENTS, JOBS, SAMPLES, OUTPUTS, TASKS)
