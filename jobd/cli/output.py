"""What a command prints: data on stdout in the wanted form, all else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import click

__all__ = [
    "FORMATS",
    "Column",
    "age",
    "moment",
    "note",
    "output_option",
    "print_items",
    "print_one",
    "state",
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
            click.echo(f"{kind}/{item[key]}")
    else:
        shown = [*columns, *wide] if form == "wide" else list(columns)
        _print_table(shown, items)


def print_one(form: str, body: dict[str, Any], *, name: str) -> None:
    """Print one object: its fields a line each in a table."""
    if form in ("json", "yaml"):
        _print_data(form, body)
    elif form == "name":
        click.echo(name)
    else:
        width = max(map(len, body))
        for field, value in body.items():
            if form == "wide" or value not in (None, "", {}, [], False):
                click.echo(f"{field:<{width}}  {_cell(value)}")


def note(text: str) -> None:
    """Say something that is no data."""
    click.echo(text, err=True)


def state(item: dict[str, Any]) -> str:
    """Return a job's state, coloured on a terminal."""
    text = str(item["state"])
    colour = _COLOURS.get(text)
    plain = colour is None or "NO_COLOR" in os.environ or not sys.stdout.isatty()
    return text if plain else click.style(text, fg=colour)


def age(stamp: str | None) -> str:
    """Return how long ago a moment of the API was: 42s, 5m, 3h, 2d."""
    if stamp is None:
        return "-"
    seconds = max(0, int(time.time() - datetime.fromisoformat(stamp).timestamp()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment(ms: int) -> str:
    """Return a moment of the API (Unix milliseconds) in local time with its offset."""
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="seconds")


def _print_data(form: str, body: dict[str, Any]) -> None:
    if form == "json":
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
        return
    import yaml

    click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), nl=False)


def _print_table(columns: Sequence[Column], items: Sequence[dict[str, Any]]) -> None:
    rows = [[title for title, _ in columns]]
    rows += [[value(item) or "-" for _, value in columns] for item in items]
    widths = [max(len(click.unstyle(row[i])) for row in rows) for i in range(len(columns))]
    for row in rows:
        cells = [
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
