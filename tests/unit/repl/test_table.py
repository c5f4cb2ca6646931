"""Records as an operator reads them."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import msgspec
import pytest

from actors.core.history_port import QueryResult
from jobd.api.node_views import ActorView
from jobd.repl.namespace import display
from jobd.repl.table import Table, age, fields, grid, lines_of


class Row(NamedTuple):
    name: str
    n: int | None


def actor(address: str, parent: str | None = None) -> ActorView:
    return ActorView(
        address=address,
        parent=parent,
        class_="Slot",
        state="running",
        mailbox=0,
        handled=7,
        rate=1.26,
        handler_s=0.1,
        restarts=0,
        last_error=None,
    )


def test_a_table_is_as_wide_as_it_needs_to_be() -> None:
    assert (
        repr(Table([Row("a", 1), Row("long name", None)]))
        == "name       n\na          1\nlong name"
    )
    assert repr(Table([])) == "nothing"
    assert Table([Row("a", 1)])[0].n == 1


def test_a_known_record_has_columns_of_its_own() -> None:
    assert repr(Table([actor("/slot/0")])).splitlines() == [
        "address  class  state    mailbox  handled  per s  restarts",
        "/slot/0  Slot   running  0        7        1.3    0",
    ]
    assert lines_of([actor("/a"), actor("/b", "/a")], [0, 1])[2].startswith("  /b ")


def test_one_record_is_its_fields_without_what_is_empty() -> None:
    assert fields(Row("a\nb", None)) == "name  a b"
    assert "class      Slot" in fields(actor("/x"))


def test_the_last_column_is_cut_off_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["a", "x" * 300]]
    assert len(grid(["name", "data"], rows)[1]) > 300
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    assert [len(line) for line in grid(["name", "data"], rows)] == [10, 40]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (3, "3\n"),
        ("x", "'x'\n"),
        (Row("a", 1), "name  a\nn     1\n"),
        ([Row("a", 1)], "name  n\na     1\n"),
        (QueryResult(["k", "n"], ["VARCHAR", "BIGINT"], [["a", 1]], False), "k  n\na  1\n"),
        (msgspec.defstruct("S", [("x", int)])(1), "x  1\n"),
    ],
)
def test_values_are_shown_readably(
    value: Any, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    display(value)
    assert capsys.readouterr().out == shown


def test_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    assert age(None) == ""
    for stamp, shown in (
        ("2027-01-15T08:00:00.000Z", "0s"),
        ("2027-01-15T07:59:01.000Z", "59s"),
        ("2027-01-15T06:30:00.000Z", "1h"),
        ("2027-01-12T08:00:00.000Z", "3d"),
        ("2027-01-15T09:00:00.000Z", "0s"),
    ):
        assert age(stamp) == shown
