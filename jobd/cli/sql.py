"""jobctl sql: ask the history."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any, Final

import click

from actors import limits
from jobd.cli.failure import USAGE, Failure
from jobd.cli.output import note, print_lines, table_lines
from jobd.cli.session import Session, pass_session

__all__ = ["sql"]

_NUMBERS: Final = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


@click.command()
@click.argument("query", required=False)
@click.option("-p", "--param", "values", multiple=True, metavar="VALUE", help="For $1, then $2, …")
@click.option(
    "--timeout",
    type=click.FloatRange(0, limits.QUERY_S, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="It is interrupted then.",
)
@click.option(
    "--max-rows", type=click.IntRange(1, limits.QUERY_ROWS), default=1000, show_default=True
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(("table", "csv", "json", "ndjson")),
    default="table",
    show_default=True,
    help="Form of the output; json is the API's own body, ndjson an object a line.",
)
@pass_session
def sql(
    session: Session,
    query: str | None,
    values: tuple[str, ...],
    timeout: float,
    max_rows: int,
    form: str,
) -> None:
    """Ask the history in SQL: one SELECT, over jobs, attempts, tasks, outputs, events and
    node_samples. `describe jobs` says what there is.

    Without QUERY, or with `-`, it is read from stdin. A value is JSON, or else text.
    """
    text = _read() if query in (None, "-") else query
    parameters = [_value(value) for value in values]
    body = {"sql": text, "parameters": parameters, "timeout_s": timeout, "max_rows": max_rows}
    result = session.client.request("POST", "/query", body=body).json
    _print(form, result)
    if result["truncated"]:
        note(f"jobctl: only the first {len(result['rows'])} rows; --max-rows takes more")


def _read() -> str:
    if sys.stdin.isatty():
        raise Failure(
            "there is no query",
            remedy='Give one: jobctl sql "select count(*) from jobs".',
            exit_code=USAGE,
        )
    return sys.stdin.read()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(form: str, result: dict[str, Any]) -> None:
    columns, rows = result["columns"], result["rows"]
    match form:
        case "json":
            click.echo(json.dumps(result, indent=2, ensure_ascii=False))
        case "ndjson":
            for row in rows:
                click.echo(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(value, "") for value in row] for row in rows)
        case _:
            print_lines(_table(columns, result["types"], rows))


def _table(columns: list[str], types: list[str], rows: list[list[Any]]) -> list[str]:
    """Return lines; numbers stand to the right."""
    cells = [[_cell(value, "-") for value in row] for row in rows]
    for i, type_ in enumerate(types):
        if type_.startswith(_NUMBERS) or "INT" in type_:
            width = max([len(columns[i]), *(len(row[i]) for row in cells)])
            for row in cells:
                row[i] = row[i].rjust(width)
    shown = [(name.upper(), lambda row, i=i: row[i]) for i, name in enumerate(columns)]
    return table_lines(shown, cells)  # type: ignore[arg-type]


def _cell(value: Any, nothing: str) -> str:
    if value is None:
        return nothing
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
