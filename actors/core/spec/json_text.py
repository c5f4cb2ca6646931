"""JSON text (RFC 8259), read strictly: no repeated keys, no NaN, no number out of range."""

from __future__ import annotations

import math
import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from actors.core.spec.document import Reading, UnreadableError
from actors.core.spec.problems import Path, shown

__all__ = ["INTEGERS", "NUMBER", "number", "read_json"]

INTEGERS: Final = range(-(2**63), 2**64)  # what MessagePack can carry
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_INTEGER_DIGITS: Final = 20
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_WORD: Final = re.compile(r"[A-Za-z0-9_+.-]+")
_NOT_JSON: Final = frozenset(("NaN", "Infinity", "-Infinity"))
_WORDS: Final = {"null": None, "true": True, "false": False}


def read_json(reading: Reading) -> Any:
    """Return the value of a JSON text. Raises UnreadableError, TooLarge."""
    value, end = _value(reading, _skip(reading.text, 0), ())
    if end != len(reading.text):
        raise UnreadableError(end, "more text after the end of the JSON value")
    return value


def number(match: re.Match[str]) -> int | float | None:
    """Return the number of a NUMBER match, None when it is out of range."""
    text = match.group()
    if match.group(1) or match.group(2):
        real = float(text)
        return real if math.isfinite(real) else None
    if len(text) > _INTEGER_DIGITS:
        return None
    integer = int(text)
    return integer if integer in INTEGERS else None


def _value(reading: Reading, start: int, path: Path) -> tuple[Any, int]:
    """Read one value; return it and the offset of what follows it and its space."""
    text = reading.text
    opening = text[start : start + 1]
    if opening == '"':
        value, end = _string(text, start)
        return value, _skip(text, end)
    if opening == "{":
        return _object(reading, start, path)
    if opening == "[":
        return _array(reading, start, path)
    match = _WORD.match(text, start)
    if match is None:
        raise UnreadableError(start, "a JSON value is missing here")
    return _scalar(reading, match, path), _skip(text, match.end())


def _object(reading: Reading, start: int, path: Path) -> tuple[dict[str, Any], int]:
    reading.enter(path, start)
    text = reading.text
    value: dict[str, Any] = {}
    at = _skip(text, start + 1)
    if text[at : at + 1] == "}":
        return value, _skip(text, at + 1)
    while True:
        if text[at : at + 1] != '"':
            raise UnreadableError(at, "a key in double quotes is missing here")
        key, end = _string(text, at)
        place = (*path, key)
        reading.mark(place, at)
        if key in value:
            reading.problems.add(place, f"the key {shown(key)} stands here twice")
        at = _expect(text, _skip(text, end), ":")
        value[key], at = _value(reading, at, place)
        if text[at : at + 1] == "}":
            return value, _skip(text, at + 1)
        at = _expect(text, at, ",", "}")


def _array(reading: Reading, start: int, path: Path) -> tuple[list[Any], int]:
    reading.enter(path, start)
    text = reading.text
    value: list[Any] = []
    at = _skip(text, start + 1)
    if text[at : at + 1] == "]":
        return value, _skip(text, at + 1)
    while True:
        place = (*path, len(value))
        reading.mark(place, at)
        item, at = _value(reading, at, place)
        value.append(item)
        if text[at : at + 1] == "]":
            return value, _skip(text, at + 1)
        at = _expect(text, at, ",", "]")


def _scalar(reading: Reading, match: re.Match[str], path: Path) -> Any:
    word = match.group()
    if word in _WORDS:
        return _WORDS[word]
    if word in _NOT_JSON:
        reading.problems.add(path, f"{word} is no JSON value")
        return None
    digits = NUMBER.fullmatch(word)
    if digits is None:
        raise UnreadableError(match.start(), f"{shown(word)} is no JSON value")
    value = number(digits)
    if value is None:
        reading.problems.add(path, f"the number {shown(word)} is out of range")
    return value


def _string(text: str, start: int) -> tuple[str, int]:
    try:
        value: tuple[str, int] = scanstring(text, start + 1, True)
    except JSONDecodeError as error:
        raise UnreadableError(error.pos, error.msg[0].lower() + error.msg[1:]) from None
    return value


def _expect(text: str, at: int, mark: str, closing: str = "") -> int:
    if text[at : at + 1] != mark:
        wanted = f"`{mark}` or `{closing}`" if closing else f"`{mark}`"
        raise UnreadableError(at, f"{wanted} is missing here")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
