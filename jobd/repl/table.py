"""Values as an operator reads them: lists of records as tables, one record as its fields."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from jobd.api.events import EventView
from jobd.api.job_views import AttemptView, JobView
from jobd.api.node_views import ActorView, NodeView

__all__ = ["Table", "age", "fields", "grid", "is_record", "lines_of"]

T = TypeVar("T")
_NARROWEST: Final = 8
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))

Cell = Callable[[Any], Any]


def age(stamp: str | None) -> str:
    """Return how long ago an RFC 3339 time was, in its largest unit."""
    if not stamp:
        return ""
    passed = max(0.0, time.time() - datetime.fromisoformat(stamp).timestamp())
    for seconds, unit in _UNITS:
        if passed >= seconds:
            return f"{int(passed // seconds)}{unit}"
    return "0s"


_COLUMNS: Final[tuple[tuple[type, tuple[tuple[str, Cell], ...]], ...]] = (
    (
        JobView,
        (
            ("id", lambda job: job.id),
            ("name", lambda job: job.name),
            ("state", lambda job: job.state),
            ("reason", lambda job: job.reason),
            ("attempt", lambda job: job.attempt),
            ("node", lambda job: job.node),
            ("for", lambda job: age(job.since)),
        ),
    ),
    (
        AttemptView,
        (
            ("task", lambda each: each.task),
            ("attempt", lambda each: each.attempt),
            ("outcome", lambda each: each.outcome),
            ("reason", lambda each: each.reason),
            ("exit", lambda each: each.exit_code),
            ("began", lambda each: age(each.started_at)),
        ),
    ),
    (
        ActorView,
        (
            ("address", lambda actor: actor.address),
            ("class", lambda actor: actor.class_),
            ("state", lambda actor: actor.state),
            ("mailbox", lambda actor: actor.mailbox),
            ("handled", lambda actor: actor.handled),
            ("per s", lambda actor: f"{actor.rate:.1f}"),
            ("restarts", lambda actor: actor.restarts),
        ),
    ),
    (
        NodeView,
        (
            ("id", lambda node: node.id),
            ("name", lambda node: node.name),
            ("state", lambda node: node.state),
            ("free", lambda node: f"{node.slots_free} of {node.slots_total} slots"),
            ("version", lambda node: node.version),
            ("up", lambda node: age(node.since)),
        ),
    ),
    (
        EventView,
        (
            ("id", lambda event: event.id),
            ("type", lambda event: event.type),
            ("subject", lambda event: event.subject),
            ("ago", lambda event: age(event.time)),
            ("data", lambda event: event.data),
        ),
    ),
)


class Table(list[T]):
    """A list whose repr is a table."""

    def __repr__(self) -> str:
        return "\n".join(lines_of(self)) if self else "nothing"


def is_record(value: Any) -> bool:
    """Say whether a value has named fields."""
    return isinstance(value, msgspec.Struct) or hasattr(value, "_fields")


def fields(record: Any) -> str:
    """Return a record, a field a line; what is empty is left out."""
    shown = {name: getattr(record, name) for name in _names_of(record)}
    shown = {name: value for name, value in shown.items() if value not in (None, "", [], {})}
    width = max(map(len, shown), default=0)
    return "\n".join(
        f"{name.rstrip('_'):<{width}}  {_text(value)}" for name, value in shown.items()
    )


def lines_of(records: Sequence[Any], indents: Iterable[int] | None = None) -> list[str]:
    """Return records as the lines of a table; `indents` moves first cells to the right."""
    columns = _columns_of(records[0])
    rows = [[_text(cell(record)) for _, cell in columns] for record in records]
    for row, indent in zip(rows, indents or (), strict=False):
        row[0] = "  " * indent + row[0]
    return grid([title for title, _ in columns], rows)


def grid(titles: Sequence[str], cells: Iterable[Sequence[Any]]) -> list[str]:
    """Return rows of cells as lines, each column as wide as it needs to be.

    At a terminal the last column takes what is left of the width, and is cut off there.
    """
    rows = [list(titles), *([_text(cell) for cell in row] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(_NARROWEST, left))
    return [
        "  ".join(f"{cell[:width]:<{width}}" for cell, width in zip(row, widths, strict=True))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def _columns_of(record: Any) -> tuple[tuple[str, Cell], ...]:
    for kind, columns in _COLUMNS:
        if isinstance(record, kind):
            return columns
    return tuple((name, attrgetter(name)) for name in _names_of(record))


def _names_of(record: Any) -> tuple[str, ...]:
    """Return the names of the fields of a struct or a named tuple."""
    names: tuple[str, ...] = getattr(record, "__struct_fields__", None) or record._fields
    return names


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\n", " ")
    if isinstance(value, dict):
        return " ".join(f"{name}={_text(each)}" for name, each in value.items())
    return str(value)
