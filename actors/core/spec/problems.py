"""The list of what is wrong with one spec.

Rules of this file:
1. Everything that is wrong is found in one pass: a check that fails adds a problem and goes on.
2. After SPEC_PROBLEMS problems the search ends: nobody reads more, and a hostile text costs less.
3. One path, one problem: the first wins, so what follows from a mistake is not reported again.
4. Nothing hostile is echoed as it came: values and keys are quoted as JSON and cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from actors.errors import InvalidSpec, Problem
from actors.limits import SPEC_PROBLEMS

__all__ = [
    "Path",
    "Place",
    "Problems",
    "TooManyProblemsError",
    "did_you_mean",
    "format_path",
    "shown",
]

Path = tuple[str | int, ...]
Place = Callable[[Path], tuple[int, int]]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN_CHARACTERS: Final = 60


class TooManyProblemsError(Exception):
    """SPEC_PROBLEMS were found; the search for more ends here."""


class Problems:
    """Problems in the order they were found, each with the path it is about."""

    def __init__(self) -> None:
        self._found: dict[Path, str] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Path, message: str) -> None:
        """Note a problem. Raises TooManyProblemsError when there are SPEC_PROBLEMS already."""
        if path in self._found:
            return
        if len(self._found) == SPEC_PROBLEMS:
            raise TooManyProblemsError
        self._found[path] = message

    def take(self, other: Problems, where: Path) -> None:
        """Add the problems of a part that lies at `where`. Raises TooManyProblemsError."""
        for path, message in other._found.items():
            self.add((*where, *path), message)

    def listed(self, place: Place) -> list[Problem]:
        """Return them in the order of the text."""
        listed = [Problem(format_path(p), *place(p), message) for p, message in self._found.items()]
        listed.sort(key=lambda problem: (problem.line, problem.column))
        return listed

    def clean(self, *keys: str) -> bool:
        """Say whether nothing was found under these top-level keys."""
        return not any(path[:1] == (key,) for path in self._found for key in keys)

    def raise_if_any(self, place: Place, page: str = "job-spec") -> None:
        """Raise InvalidSpec with every problem, in the order of the text."""
        if not self._found:
            return
        listed = self.listed(place)
        if len(listed) == SPEC_PROBLEMS:
            listed.append(Problem("$", 0, 0, f"the search ended after {SPEC_PROBLEMS} problems"))
        raise InvalidSpec(listed, remedy=f"`docs/reference/{page}.md` lists every key.")


def format_path(path: Path) -> str:
    """Return a path as text: `$.retry.max_attempts`, `$.args[0]`, `$["a b"]`."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{_cut(step)}")
        else:
            parts.append(f"[{shown(step)}]")
    return "".join(parts)


def shown(value: Any) -> str:
    """Return a value as it may be shown in a message: JSON, cut, without control characters."""
    if isinstance(value, str):
        return json.dumps(_cut(value))
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() <= 64:
        return str(value)
    return f"a value of type {type(value).__name__}"


def did_you_mean(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """Return `; did you mean X?` when a known word is close, else nothing.

    Close is the same letters in another order, or a difflib ratio of at least `least`.
    """
    import difflib  # only a spec that is wrong needs it

    words = {other.lower(): other for other in known}
    # The comparison is quadratic, and a long word is no slip of the finger.
    slip = word[:_SHOWN_CHARACTERS].lower()
    close = [other for other in words if sorted(other) == sorted(slip)]
    close = close or difflib.get_close_matches(slip, words, 1, least)
    return f"; did you mean {words[close[0]]}?" if close else ""


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
