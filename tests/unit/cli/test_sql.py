"""jobctl sql: what it sends, and the forms of what comes back."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from actors.core.history_port import QueryResult, RunQuery
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade
from tests.unit.http.memory_past import MemoryPast

RESULT = QueryResult(
    ["name", "n", "labels"],
    ["VARCHAR", "BIGINT", "MAP(VARCHAR, VARCHAR)"],
    [["a", 7, {"k": "v"}], ["long, name", None, {}]],
    truncated=True,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunQuery]:
    """Have every query answered with RESULT; return those that were asked."""
    queries: list[RunQuery] = []

    async def run(self: MemoryPast, query: RunQuery) -> QueryResult:
        queries.append(query)
        return RESULT

    monkeypatch.setattr(MemoryPast, "run", run)
    return queries


def test_a_table_says_when_it_is_cut(jobctl: Jobctl, asked: list[RunQuery]) -> None:
    ran = jobctl("sql", "select $1", "-p", "3", "-p", "x", "--timeout", "5", "--max-rows", "2")
    assert ran.code == 0
    assert ran.out.decode().splitlines() == [
        "NAME        N  LABELS",
        'a           7  {"k": "v"}',
        "long, name  -  {}",
    ]
    assert "first 2 rows" in ran.err
    assert asked == [RunQuery("select $1", [3, "x"], 5.0, 2)]


def test_csv_and_ndjson_are_for_other_programs(jobctl: Jobctl, asked: list[RunQuery]) -> None:
    assert jobctl("sql", "q", "-o", "csv").out.decode().splitlines() == [
        "name,n,labels",
        'a,7,"{""k"": ""v""}"',
        '"long, name",,{}',
    ]
    lines = jobctl("sql", "q", "-o", "ndjson").out.decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"name": "a", "n": 7, "labels": {"k": "v"}},
        {"name": "long, name", "n": None, "labels": {}},
    ]
    assert json.loads(jobctl("sql", "q", "-o", "json").out)["types"] == RESULT.types


def test_a_query_comes_from_stdin(
    jobctl: Jobctl, asked: list[RunQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (("sql",), ("sql", "-")):
        monkeypatch.setattr("sys.stdin", io.StringIO("select 1"))
        assert jobctl(*arguments).code == 0
    assert [query.sql for query in asked] == ["select 1", "select 1"]


def test_a_token_without_admin_asks_nothing(
    jobctl: Jobctl, asked: list[Any], served: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBD_TOKEN", served.gateway.mint("read", "run", "write"))
    ran = jobctl("sql", "select 1")
    assert (ran.code, asked) == (77, [])
