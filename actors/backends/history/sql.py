"""SQL of users over the history: one SELECT, read-only, within bounds.

What keeps it to the history, each by itself enough for most of what one could try:
1. The database is opened without access to files, network, extensions and Python's variables, but
   for our own Parquet, and that is locked (`file.py`).
2. The statement must be one SELECT (as which DESCRIBE and SHOW TABLES count): DuckDB's own parser
   says so, and gives its tree.
3. In that tree, only the table functions below may stand: others read files, run SQL given as a
   text, or take raw pointers (`pandas_scan`). Some scalar functions are refused too.
4. It runs in a read-only transaction on a connection of its own, which is closed after it.
5. It is interrupted at its timeout; rows and bytes of the answer are bounded, as are its memory
   and what it spills to disk. A function that is at one value for minutes heeds no interrupt: then
   `hung` is called, which ends the process. What a function allocates DuckDB does not count: the
   process itself has a bound too (`jobd/node/wiring/history.py`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import duckdb
import msgspec

from actors import limits
from actors.backends.history.file import HistoryFile
from actors.core.history_port import QueryResult, RunQuery
from actors.errors import InvalidInput, TooLarge, Unavailable

__all__ = ["HistorySql"]

_TABLE_FUNCTIONS: Final = frozenset(
    [
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    ]
)
_SCALARS_REFUSED: Final = frozenset(
    [
        "currval",
        "nextval",
        "pg_sleep",
        "setseed",
        "sleep_ms",
        "write_log",
        "getenv",
        "current_setting",
    ]
)
_ZONED: Final = "WITH TIME ZONE"  # needs pytz to become a value of Python
_CHUNK: Final = 500
_HEED_S: Final = 3.0  # within which an interrupted query has to end


class HistorySql:
    """Implements HistoryQueries. One thread at a time; `hung` is called from another."""

    def __init__(self, file: HistoryFile, *, hung: Callable[[], None]) -> None:
        self._file = file
        self._hung = hung

    def run(self, query: RunQuery) -> QueryResult:
        """Run one SELECT. Raises InvalidInput, TooLarge, Unavailable (its time is over)."""
        if len(query.sql.encode()) > limits.QUERY_SQL_BYTES:
            raise TooLarge(f"the query is over {limits.QUERY_SQL_BYTES} bytes (QUERY_SQL_BYTES)")
        with self._file.cursor() as connection, self._timed(connection, query) as expired:
            try:
                return self._run(connection, query)
            except (duckdb.OutOfMemoryException, MemoryError) as error:
                raise TooLarge(f"the query needs more memory than it may have: {error}") from None
            except RecursionError:
                raise InvalidInput("a value is nested too deeply") from None
            except duckdb.Error as error:
                if expired.is_set() or isinstance(error, duckdb.InterruptException):
                    raise Unavailable(f"the query took longer than {query.timeout_s:g} s") from None
                raise InvalidInput(f"the query failed: {error}") from None

    @contextmanager
    def _timed(
        self, connection: duckdb.DuckDBPyConnection, query: RunQuery
    ) -> Iterator[threading.Event]:
        """Interrupt at the timeout what is run within; give an event that is set then."""
        expired, ended = threading.Event(), threading.Event()

        def watch() -> None:
            if ended.wait(query.timeout_s):
                return
            expired.set()
            with suppress(duckdb.Error):  # it has just ended, and is closed
                connection.interrupt()
            if not ended.wait(_HEED_S):
                self._hung()

        threading.Thread(target=watch, name="query timeout", daemon=True).start()
        try:
            yield expired
        finally:
            ended.set()

    def _run(self, connection: duckdb.DuckDBPyConnection, query: RunQuery) -> QueryResult:
        sql = _checked(connection, query.sql)
        connection.execute("begin transaction read only")
        described = connection.execute(f"describe {sql}", query.parameters).fetchall()
        names, types = [str(row[0]) for row in described], [str(row[1]) for row in described]
        connection.execute(_with_texts(sql, types), query.parameters)
        rows, truncated = _take(connection, query.max_rows)
        return QueryResult(names, types, rows, truncated)


def _checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the query if it is one harmless SELECT. Raises InvalidInput, duckdb.Error."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise InvalidInput(f"a query is one statement, not {len(statements)}")
    (statement,) = statements
    if statement.type != duckdb.StatementType.SELECT:
        kind = statement.type.name
        raise InvalidInput(f"a query is a SELECT, not {kind}", remedy="the history is read-only")
    text = statement.query.strip().rstrip(";")
    found = connection.execute("select json_serialize_sql($1)", [text]).fetchone()
    try:
        tree = msgspec.json.decode(found[0]) if found else {}
    except RecursionError:
        raise InvalidInput("the query is nested too deeply") from None
    if tree.get("error"):
        message = tree.get("error_message", "")
        raise InvalidInput(f"the query can't be checked: {message}")
    for node in _nodes(tree):
        name = str(node.get("function_name", "")).lower()
        is_table = node.get("type") == "TABLE_FUNCTION"
        if is_table:
            name = str((node.get("function") or {}).get("function_name", "")).lower()
        if name in _SCALARS_REFUSED or (is_table and name not in _TABLE_FUNCTIONS):
            raise InvalidInput(f"{name} can't be used in a query")
    return text


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of a JSON value."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _with_texts(sql: str, types: list[str]) -> str:
    """Have values that Python has no type for come as text."""
    if not any(_ZONED in type_ for type_ in types):
        return sql
    columns = (f"#{i}::VARCHAR" if _ZONED in t else f"#{i}" for i, t in enumerate(types, 1))
    return f"select {', '.join(columns)} from ({sql}\n)"  # a comment may end it


def _take(connection: duckdb.DuckDBPyConnection, limit: int) -> tuple[list[list[Any]], bool]:
    """Return rows as far as they are within the bounds, and whether there are more."""
    rows: list[list[Any]] = []
    size = 0
    while chunk := connection.fetchmany(_CHUNK):
        for values in chunk:
            row = [_plain(value) for value in values]
            size += len(msgspec.json.encode(row))
            if len(rows) == limit or size > limits.QUERY_BYTES:
                return rows, True
            rows.append(row)
    return rows, False


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; times are UTC, intervals seconds, bytes hex."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) < 1 << 63 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return value.isoformat(timespec="milliseconds") + "Z"
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case Decimal() | UUID():
            return str(value)
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return str(value)
