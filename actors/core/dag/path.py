"""Paths into JSON values: `rows[0].id`, as templates, conditions and `input_from` write them."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["MISSING", "Path", "follow", "read_path", "text_of_path"]

Path = tuple[str | int, ...]

MISSING: Final[Any] = object()  # what `follow` finds where there is nothing
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]{1,9})\]")


def read_path(text: str) -> Path | None:
    """Return the steps of a path that begins with `.` or `[`, None when it is none."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            return None
        name, index = match.groups()
        steps.append(name if index is None else int(index))
        position = match.end()
    return tuple(steps)


def text_of_path(path: Path) -> str:
    """Return a path as it is written."""
    return "".join([f"[{step}]" if isinstance(step, int) else f".{step}" for step in path])


def follow(value: Any, path: Path) -> Any:
    """Return what is at a path of a value, or MISSING. `a.0` is as good as `a[0]`."""
    for step in path:
        if isinstance(value, dict):
            if str(step) not in value:
                return MISSING
            value = value[str(step)]
        elif isinstance(value, list):
            index = step if isinstance(step, int) else int(step) if step.isdecimal() else -1
            if not 0 <= index < len(value):
                return MISSING
            value = value[index]
        else:
            return MISSING
    return value
