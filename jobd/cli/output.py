"""What a command prints: data on stdout in the wanted form, all else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import click

__all__ = [
    "FORMATS",
    "Column",
    "age",
    "coloured",
    "field_lines",
    "heard",
    "moment",
    "note",
    "note_problems",
    "output_option",
    "print_items",
    "print_lines",
    "print_one",
    "state",
    "table_lines",
    "write_bytes",
]

FORMATS: Final = ("table", "wide", "json", "yaml", "name")
_COLOURS: Final = {
    "succeeded": "green",
    "running": "cyan",
    "failed": "red",
    "expired": "red",
    "cancelled": "yellow",
}

Column = tuple[str, Callable[[dict[str, Any]], str]]

output_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Form of the output; json is the API's own body.",
)


def print_items(
    form: str,
    body: dict[str, Any],
    *,
    kind: str,
    columns: Sequence[Column],
    wide: Sequence[Column] = (),
    key: str = "id",
) -> None:
    """Print a list as the API gave it; `name` is `<kind>/<key>` a line."""
    items = body["items"]
    if form in ("json", "yaml"):
        _print_data(form, body)
    elif form == "name":
        for item in items:
            click.echo(f"{kind}/{str(item[key]).lstrip('/')}")
    else:
        print_lines(table_lines([*columns, *wide] if form == "wide" else columns, items))


def print_one(form: str, body: dict[str, Any], *, name: str) -> None:
    """Print one object: its fields a line each in a table."""
    if form in ("json", "yaml"):
        _print_data(form, body)
    elif form == "name":
        click.echo(name)
    else:
        print_lines(field_lines(form, body))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines of data."""
    for line in lines:
        click.echo(line)


def field_lines(form: str, body: dict[str, Any]) -> list[str]:
    """Return an object's fields, a line each; `wide` has those that are empty too."""
    width = max(map(len, body))
    return [
        f"{field:<{width}}  {_cell(value)}".rstrip()
        for field, value in body.items()
        if form == "wide" or value not in (None, "", {}, [], False)
    ]


def table_lines(columns: Sequence[Column], items: Sequence[dict[str, Any]]) -> list[str]:
    """Return items as lines below their titles, in columns as wide as they need."""
    rows = [[title for title, _ in columns]]
    rows += [[value(item) or "-" for _, value in columns] for item in items]
    widths = [max(len(click.unstyle(row[i])) for row in rows) for i in range(len(columns))]
    return [
        "  ".join(
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def note_problems(file: str | None, problems: Iterable[dict[str, Any]]) -> None:
    """Say everything that is wrong with a spec, each with its place where that is known."""
    for problem in problems:
        line, column = problem["line"], problem["column"]
        place = f"{file}:{line}:{column}: " if file and line else f"{file}: " if file else ""
        note(f"{place}{problem['path']}: {problem['message']}")


def write_bytes(data: bytes) -> None:
    """Write bytes to stdout as they are; a line's end is added for a terminal only."""
    sys.stdout.buffer.write(data)
    if data and not data.endswith(b"\n") and sys.stdout.isatty():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Say something that is no data."""
    click.echo(text, err=True)


def state(item: dict[str, Any]) -> str:
    """Return a job's state, coloured where colours are wanted."""
    return coloured(str(item["state"]), _COLOURS.get(str(item["state"])))


def coloured(text: str, colour: str | None) -> str:
    """Return text for stdout, in this colour on a terminal.

    NO_COLOR takes the colours away (https://no-color.org), CLICOLOR_FORCE gives them to a pipe.
    """
    if colour is None or os.environ.get("NO_COLOR"):
        return text
    if os.environ.get("CLICOLOR_FORCE", "0") != "0":
        click.get_current_context().color = True  # click strips a pipe's colours otherwise
    elif not sys.stdout.isatty():
        return text
    return click.style(text, fg=colour)


def age(stamp: str | None) -> str:
    """Return how long ago a moment of the API was: 42s, 5m, 3h, 2d."""
    if stamp is None:
        return "-"
    seconds = max(0, int(time.time() - datetime.fromisoformat(stamp).timestamp()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def heard(ms: int | None) -> str:
    """Return how long ago a node was heard: 0.4s, or - when it was not."""
    return "-" if ms is None else f"{ms / 1000:.1f}s"


def moment(ms: int) -> str:
    """Return a moment of the API (Unix milliseconds) in local time with its offset."""
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="seconds")


def _print_data(form: str, body: dict[str, Any]) -> None:
    if form == "json":
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
        return
    import yaml

    click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), nl=False)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
