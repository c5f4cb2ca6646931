"""Templates of keys: `${input.user.id}` in a text is replaced by data of the input.

Data only, never code: a path of names and list indexes, one pass, and what was put in isn't read
again.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from actors.core.spec.problems import Path, Problems, shown

__all__ = ["fill"]

_HOLE: Final = re.compile(r"\$\{([^}]*)(\}?)")
_INPUT_PATH: Final = re.compile(r"input((?:\.[A-Za-z0-9_-]+)+)")


def fill(template: str, value: Any, path: Path, problems: Problems) -> str:
    """Fill a template with values of the input; adds a problem for each hole that can't be."""

    def replace(match: re.Match[str]) -> str:
        inner, closing = match.groups()
        steps = _INPUT_PATH.fullmatch(inner)
        if not closing or steps is None:
            problems.add(path, f"expected ${{input.NAME}}, got {shown(match.group())}")
            return ""
        found, result = _follow(value, steps.group(1)[1:].split("."))
        if not found:
            problems.add(path, f"the input has no {shown(inner)}")
        elif result is None or isinstance(result, dict | list):
            problems.add(path, f"{shown(inner)} is no text, number or boolean")
        else:
            return result if isinstance(result, str) else json.dumps(result)
        return ""

    return _HOLE.sub(replace, template)


def _follow(value: Any, steps: list[str]) -> tuple[bool, Any]:
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value
