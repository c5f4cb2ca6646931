"""Templates in the strings of a step: `${steps.fetch.output.rows}` is replaced by data.

Rules of this file:
1. Data only: a root, a path of names and indexes, one pass; what was put in is never read again.
2. A string that is nothing but one hole becomes the value itself, with its type; a hole within
   other text becomes text: a string as it is, anything else as JSON.
3. `$${` is a literal `${`. What is no name with a dot or a bracket behind it, such as `${HOME}`,
   is left as it stands: it belongs to a shell.
4. Text that something runs as a program (a shell line, a script) takes no holes: data would become
   code there. Pass it in `environment` or `args` instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from actors.core.dag.path import Path, read_path, text_of_path
from actors.core.spec.problems import shown

__all__ = ["CODE", "ROOTS", "Ref", "TemplateError", "fill", "parse", "refs_in"]

ROOTS: Final = ("steps", "inputs", "run", "item", "map")
CODE: Final = frozenset(("shell", "code"))  # keys of a job spec that are run as they are
_HOLE: Final = re.compile(r"\$?\$\{([^}]*)(\}?)")
_NAMED: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)((?:[.\[].*)?)\s*", re.DOTALL)
_STEP_PARTS: Final = ("output", "state", "job", "run")
_RUN_PARTS: Final = ("id", "pipeline", "state", "created_at")
_LEFT: Final = frozenset(("input",))  # filled in by the job's own keys


class TemplateError(Exception):
    """A hole that can't be read, or that can't be filled; the message says why."""


class Ref(NamedTuple):
    """What a hole names: a root, for `steps` and `run` what of it, and a path into that.

    `steps`: step `name`, part output, state, job or run. `inputs`, `item`: the path. `run`: a part.
    """

    root: str
    name: str = ""
    part: str = ""
    path: Path = ()

    def __str__(self) -> str:
        words = [word for word in (self.root, self.name, self.part) if word]
        return ".".join(words) + text_of_path(self.path)


def read_ref(text: str) -> Ref | None:
    """Return what `steps.a.output.n` names, None when it is left as it stands.

    Raises TemplateError for a name that means nothing.
    """
    match = _NAMED.fullmatch(text)
    if match is None:
        return None
    root, rest = match.groups()
    rest = rest.rstrip()
    if root in _LEFT or (not rest and root != "item"):
        return None
    if root not in ROOTS:
        raise TemplateError(f"nothing is named {shown(root)}; known: {', '.join(ROOTS)}")
    path = read_path(rest)
    if path is None:
        raise TemplateError(f"{shown(text)} is no path of names and indexes")
    return _ref(root, path, text)


def _ref(root: str, path: Path, text: str) -> Ref:
    match root:
        case "steps":
            if len(path) < 2 or path[1] not in _STEP_PARTS:
                wanted = ", ".join(f"steps.NAME.{part}" for part in _STEP_PARTS)
                raise TemplateError(f"{shown(text)} names no part of a step; write {wanted}")
            if len(path) > 2 and path[1] != "output":
                raise TemplateError(f"{shown(text)}: only an output has something in it")
            return Ref(root, str(path[0]), str(path[1]), path[2:])
        case "run":
            if len(path) != 1 or path[0] not in _RUN_PARTS:
                known = ", ".join(f"run.{part}" for part in _RUN_PARTS)
                raise TemplateError(f"{shown(text)} names nothing of a run; write {known}")
            return Ref(root, "", str(path[0]))
        case "map":
            if path != ("index",):
                raise TemplateError(f"{shown(text)} names nothing of a map; write map.index")
            return Ref(root, "", "index")
    return Ref(root, "", "", path)


def parse(text: str) -> list[str | Ref]:
    """Return the pieces of a template: text, and what its holes name. Raises TemplateError."""
    pieces: list[str | Ref] = []
    position = 0
    for match in _HOLE.finditer(text):
        before = text[position : match.start()]
        position = match.end()
        whole, (inner, closing) = match.group(), match.groups()
        ref = None
        if whole.startswith("$$"):
            whole = whole[1:]
        elif closing:
            ref = read_ref(inner)
        elif inner.startswith(tuple(f"{root}." for root in ROOTS)):
            raise TemplateError(f"{shown(whole)} has no closing brace")
        for piece in (before, ref if ref is not None else whole):
            _add(pieces, piece)
    _add(pieces, text[position:])
    return pieces


def _add(pieces: list[str | Ref], piece: str | Ref) -> None:
    if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
        pieces[-1] += piece
    elif piece:
        pieces.append(piece)


def fill(value: Any, resolve: Callable[[Ref], Any]) -> Any:
    """Return a JSON value with the holes of all its strings filled, keys left as they are.

    Raises TemplateError, as `resolve` may.
    """
    if isinstance(value, str):
        return _fill_text(value, resolve) if "${" in value else value
    if isinstance(value, list):
        return [fill(item, resolve) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, resolve) for key, item in value.items()}
    return value


def _fill_text(text: str, resolve: Callable[[Ref], Any]) -> Any:
    pieces = parse(text)
    if len(pieces) == 1 and isinstance(pieces[0], Ref):
        return resolve(pieces[0])
    return "".join([as_text(resolve(p)) if isinstance(p, Ref) else p for p in pieces])


def as_text(value: Any) -> str:
    """Return a value as it stands within text: nothing for null, JSON for what is no string."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def refs_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Ref | str]]:
    """Yield each hole of a JSON value with its place; one that can't be read as its problem."""
    if isinstance(value, str):
        if "${" not in value:
            return
        try:
            yield from ((path, piece) for piece in parse(value) if isinstance(piece, Ref))
        except TemplateError as error:
            yield path, str(error)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from refs_in(item, (*path, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from refs_in(item, (*path, str(key)))
