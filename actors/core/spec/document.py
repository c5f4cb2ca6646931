"""A spec's text, read into plain values together with the place of each.

Rules of this file:
1. Text is UTF-8. What opens like JSON (`{"`, `{}`, `[`) is read as JSON, anything else as YAML;
   what opens so and isn't JSON may be a YAML flow mapping: then YAML has the second word.
2. Readers need no deep stack: nesting is bounded by SPEC_DEPTH before anything is built.
3. Each value of a text takes a byte of the encoded spec at least, so more than SPEC_BYTES values
   can't fit: reading stops there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actors.core.spec.problems import Path, Problems, TooManyProblemsError
from actors.errors import TooLarge
from actors.limits import SPEC_BYTES, SPEC_DEPTH, SPEC_FILE_BYTES

__all__ = ["Document", "Reading", "UnreadableError", "read_document"]

_JSON_OPENING: Final = re.compile(r'\s*(\{\s*["}]|\[)')


class UnreadableError(Exception):
    """The text makes no sense from this offset (in characters) on."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


class Reading:
    """What a reader leaves behind: where each value stands and what is wrong so far.

    `as_written` names the keys whose plain YAML scalars stay text as they are written: `1.10` in an
    environment is no number. They are keys at this depth: 0 is the top.
    """

    def __init__(self, text: str, as_written: frozenset[str], depth: int = 0) -> None:
        self.text = text
        self.as_written = as_written
        self.depth = depth
        self.problems = Problems()
        self._offsets: dict[Path, int] = {}
        self._marks = 0

    def mark(self, path: Path, offset: int) -> None:
        """Note where a value stands: at its key in a mapping, else at its first character."""
        self._offsets[path] = offset
        self._marks += 1
        if self._marks > SPEC_BYTES:
            raise TooLarge(f"the spec has more values than fit into SPEC_BYTES ({SPEC_BYTES})")

    def enter(self, path: Path, offset: int) -> None:
        """Check the depth of a list or a mapping. Raises UnreadableError."""
        if len(path) >= SPEC_DEPTH:
            raise UnreadableError(offset, f"nested deeper than SPEC_DEPTH ({SPEC_DEPTH})")

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column, from 1, of the nearest value on a path."""
        while path and path not in self._offsets:
            path = path[:-1]
        return self.position(self._offsets.get(path, 0))

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column, from 1, of an offset."""
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1


class Document(NamedTuple):
    """The value of a text (of nothing but null, bool, int, float, str, list and dict)."""

    value: Any
    reading: Reading


def read_document(
    source: bytes, filename: str, as_written: frozenset[str], depth: int = 0
) -> Document:
    """Read JSON or YAML.

    Raises InvalidSpec (with one problem: where it stops making sense) and TooLarge.
    """
    if len(source) > SPEC_FILE_BYTES:
        raise TooLarge(
            f"the spec is {len(source)} bytes; SPEC_FILE_BYTES is {SPEC_FILE_BYTES}",
            remedy="Keep large inputs in files that the job reads.",
        )
    reading = Reading("", as_written, depth)
    try:
        reading.text = source.decode("utf-8").removeprefix("\ufeff")
        return _read(reading, filename)
    except UnicodeDecodeError as error:
        offset, message = error.start, f"not UTF-8 at byte {error.start}"
        reading.text = source[:offset].decode("utf-8")
        offset = len(reading.text)
    except UnreadableError as error:
        offset, message = error.offset, error.message
    problems = Problems()
    problems.add((), message)
    problems.raise_if_any(lambda _: reading.position(offset))
    raise AssertionError("a problem was added")


def _read(reading: Reading, filename: str) -> Document:
    from actors.core.spec.json_text import read_json  # each reader loads its parser
    from actors.core.spec.yaml_text import read_yaml

    if filename.endswith(".json"):
        return _document(read_json, reading)
    if not _JSON_OPENING.match(reading.text):
        return _document(read_yaml, reading)
    try:
        return _document(read_json, reading)
    except UnreadableError as json_error:
        flow = Reading(reading.text, reading.as_written, reading.depth)
        try:
            return _document(read_yaml, flow)
        except UnreadableError:
            raise json_error from None


def _document(read: Callable[[Reading], Any], reading: Reading) -> Document:
    try:
        return Document(read(reading), reading)
    except TooManyProblemsError:
        reading.problems.raise_if_any(reading.place)
        raise
