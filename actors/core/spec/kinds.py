"""What a value may be: each kind knows its JSON Schema and reads a value into its normal form.

Rules of this file:
1. A kind is one value that says both; what is served as the schema is what is enforced.
2. `read(value, path, problems)` returns the normal form, or adds a problem and returns None.
3. Types are exact: a boolean is no integer, a number is no text, nothing is converted by guessing.
4. A null is as if the key weren't there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from actors.core.spec.json_text import INTEGERS
from actors.core.spec.problems import Path, Problems, did_you_mean, shown
from actors.core.spec.quantity import (
    DURATION_PATTERN,
    MOMENT_PATTERN,
    SIZE_PATTERN,
    duration_ms,
    moment_ms,
    size,
)
from actors.limits import DURATION_MS, SPEC_DEPTH

__all__ = [
    "BOOLEAN",
    "JSON",
    "MOMENT",
    "SIZE",
    "Field",
    "Kind",
    "choice",
    "duration",
    "durations",
    "either",
    "integer",
    "list_of",
    "map_of",
    "number",
    "properties",
    "read_fields",
    "record",
    "scaled",
    "text",
]

Read = Callable[[Any, Path, Problems], Any]

# NUL and other control characters but tab and line ends, and halves of surrogate pairs, which
# no encoding can carry.
_REFUSED: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
_TEXT: Final = re.compile(f"[{_REFUSED}]")
_LINE: Final = re.compile(f"[{_REFUSED}\t\n\r]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_YAML_1_1: Final = {
    **dict.fromkeys(("yes", "y", "on"), "true"),
    **dict.fromkeys(("no", "n", "off"), "false"),
}


_KNOWN_LISTED: Final = 16


class Kind(NamedTuple):
    """One kind of value."""

    schema: dict[str, Any]
    read: Read


class Field(NamedTuple):
    """One key: the field of the normal form that it fills, its kind, and a line of docs."""

    target: str
    kind: Kind
    doc: str
    default: str = ""


def text(pattern: str = "", wanted: str = "text", *, lines: bool = False, most: int = 0) -> Kind:
    """Text without control characters; `lines` lets tabs and line ends through."""
    refused = _TEXT if lines else _LINE
    full = re.compile(pattern) if pattern else None
    schema: dict[str, Any] = {"type": "string"}
    if pattern:
        schema["pattern"] = f"^(?:{pattern})$"
    if most:
        schema["maxLength"] = most

    def read(value: Any, path: Path, problems: Problems) -> str | None:
        if type(value) is not str:
            problems.add(path, f"expected {wanted}, got {shown(value)}{_quote_hint(value)}")
        elif match := refused.search(value):
            problems.add(path, f"holds the character U+{ord(match.group()):04X} at {match.start()}")
        elif full is not None and not full.fullmatch(value):
            problems.add(path, f"expected {wanted}, got {shown(value)}")
        elif most and len(value) > most:
            problems.add(path, f"longer than {most} characters")
        else:
            return value
        return None

    return Kind(schema, read)


def integer(least: int, most: int) -> Kind:
    """A whole number within bounds, both included."""

    def read(value: Any, path: Path, problems: Problems) -> int | None:
        if type(value) is int and least <= value <= most:
            return value
        problems.add(path, f"expected a whole number from {least} to {most}, got {shown(value)}")
        return None

    return Kind({"type": "integer", "minimum": least, "maximum": most}, read)


def number(least: float, most: float) -> Kind:
    """A number within bounds, both included, as a float."""

    def read(value: Any, path: Path, problems: Problems) -> float | None:
        if type(value) in (int, float) and least <= value <= most:
            return float(value)
        problems.add(path, f"expected a number from {least:g} to {most:g}, got {shown(value)}")
        return None

    return Kind({"type": "number", "minimum": least, "maximum": most}, read)


def scaled(kind: Kind, factor: int, least: int = 0) -> Kind:
    """A number that is kept as a whole number of smaller units, at least `least` of them."""

    def read(value: Any, path: Path, problems: Problems) -> int | None:
        result = kind.read(value, path, problems)
        return None if result is None else max(least, round(result * factor))

    return Kind(kind.schema, read)


def _read_boolean(value: Any, path: Path, problems: Problems) -> bool | None:
    if type(value) is bool:
        return value
    word = _YAML_1_1.get(value.lower()) if type(value) is str else None
    hint = f"; write {word}" if word else ""
    problems.add(path, f"expected true or false, got {shown(value)}{hint}")
    return None


BOOLEAN: Final = Kind({"type": "boolean"}, _read_boolean)


def choice(*words: str, prefix: str = "") -> Kind:
    """One of some words, each with or without the prefix: `TERM`, `SIGTERM`."""
    known = frozenset(words)
    schema = {"enum": [*words, *(prefix + word for word in words if prefix)]}

    def read(value: Any, path: Path, problems: Problems) -> str | None:
        word = value.removeprefix(prefix) if type(value) is str else ""
        if word in known:
            return word
        hint = did_you_mean(word, known) if word else ""
        problems.add(path, f"expected {' or '.join(words)}, got {shown(value)}{hint}")
        return None

    return Kind(schema, read)


def duration(least_ms: int) -> Kind:
    """A duration as text, in milliseconds."""

    def read(value: Any, path: Path, problems: Problems) -> int | None:
        result = duration_ms(value) if type(value) is str else None
        if result is None:
            unit = f"; {path[-1]}_secs takes whole seconds" if type(value) is int else ""
            problems.add(
                path, f"expected a duration such as 10s, 5m or 1h30m, got {shown(value)}{unit}"
            )
        elif not least_ms <= result <= DURATION_MS:
            problems.add(path, f"expected from {least_ms} ms to {DURATION_MS} ms, got {result} ms")
            result = None
        return result

    return Kind({"title": "duration", "type": "string", "pattern": DURATION_PATTERN}, read)


def durations(
    name: str, target: str, doc: str, *, least_ms: int = 1, default: str = "none"
) -> dict[str, Field]:
    """`name: 1h30m`, `name_secs: 5400` and `name_ms: 5400000` say the same."""
    seconds = integer(-(-least_ms // 1000), DURATION_MS // 1000)
    return {
        name: Field(target, duration(least_ms), doc, default),
        f"{name}_secs": Field(target, scaled(seconds, 1000), f"{name} in seconds"),
        f"{name}_ms": Field(target, integer(least_ms, DURATION_MS), f"{name} in milliseconds"),
    }


def _read_size(value: Any, path: Path, problems: Problems) -> int | None:
    result = size(value) if type(value) is str else value if type(value) is int else None
    if result is not None and 1 <= result < INTEGERS.stop // 2:
        return result
    problems.add(path, f"expected a size such as 512MiB, or bytes, got {shown(value)}")
    return None


SIZE: Final = Kind(
    {
        "title": "size",
        "anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}],
    },
    _read_size,
)


def _read_moment(value: Any, path: Path, problems: Problems) -> int | None:
    result = moment_ms(value) if type(value) is str else None
    if result is None:
        problems.add(
            path,
            "expected a moment with its zone such as 2026-12-01T09:00:00+01:00,"
            f" got {shown(value)}",
        )
    return result


MOMENT: Final = Kind({"title": "moment", "type": "string", "pattern": MOMENT_PATTERN}, _read_moment)


def list_of(kind: Kind, least: int = 0, most: int = 0) -> Kind:
    """A list of one kind, as a tuple; `most` 0 leaves its length to the limits of the spec."""
    schema: dict[str, Any] = {"type": "array", "items": kind.schema}
    if least:
        schema["minItems"] = least
    if most:
        schema["maxItems"] = most

    def read(value: Any, path: Path, problems: Problems) -> tuple[Any, ...] | None:
        if type(value) is not list:
            problems.add(path, f"expected a list, got {shown(value)}")
        elif len(value) < least or (most and len(value) > most):
            span = f"{least} to {most}" if most else f"at least {least}"
            problems.add(path, f"expected {span} items, got {len(value)}")
        else:
            return tuple([kind.read(item, (*path, i), problems) for i, item in enumerate(value)])
        return None

    return Kind(schema, read)


def map_of(keys: Kind, values: Kind) -> Kind:
    """A mapping with free keys of one kind and values of another."""

    def read(value: Any, path: Path, problems: Problems) -> dict[str, Any] | None:
        if type(value) is not dict:
            problems.add(path, f"expected a mapping, got {shown(value)}")
            return None
        return {
            keys.read(key, (*path, str(key)), problems): values.read(
                item, (*path, str(key)), problems
            )
            for key, item in value.items()
        }

    schema = {"type": "object", "propertyNames": keys.schema, "additionalProperties": values.schema}
    return Kind(schema, read)


def either(wanted: str, kinds: Mapping[type, Kind]) -> Kind:
    """One of several kinds, told apart by the value's type."""

    def read(value: Any, path: Path, problems: Problems) -> Any:
        kind = kinds.get(type(value))
        if kind is not None:
            return kind.read(value, path, problems)
        problems.add(path, f"expected {wanted}, got {shown(value)}")
        return None

    return Kind({"anyOf": [kind.schema for kind in kinds.values()]}, read)


def record(
    fields: Mapping[str, Field], make: Callable[..., Any], required: tuple[str, ...] = ()
) -> Kind:
    """A mapping with known keys; `make` gets the normal forms by their targets."""
    schema = {
        "type": "object",
        "properties": properties(fields),
        "additionalProperties": False,
        "required": list(required),
    }

    def read(value: Any, path: Path, problems: Problems) -> Any:
        if type(value) is not dict:
            problems.add(path, f"expected a mapping, got {shown(value)}")
            return None
        found = read_fields(fields, value, path, problems)
        missing = [key for key in required if value.get(key) is None]
        for key in missing:
            problems.add((*path, key), f"{key} is missing")
        complete = all(fields[key].target in found for key in required)
        return make(**found) if complete else None

    return Kind(schema, read)


def properties(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the JSON Schema `properties` of some keys."""
    return {
        key: {**field.kind.schema, "description": _description(field)}
        for key, field in fields.items()
    }


def _description(field: Field) -> str:
    return f"{field.doc} (default: {field.default})" if field.default else field.doc


def read_fields(
    fields: Mapping[str, Field],
    value: dict[str, Any],
    path: Path,
    problems: Problems,
    elsewhere: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Read a mapping's known keys into their targets; `elsewhere` says where others belong."""
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for key, item in value.items():
        here = (*path, str(key))
        field = fields.get(key)
        if field is None:
            problems.add(here, _unknown(str(key), fields, elsewhere or {}))
            continue
        if item is None:
            continue
        target, kind, *_ = field
        if target in said:
            problems.add(here, f"{said[target]} says the same; give one of them")
        said[target] = key
        result = kind.read(item, here, problems)
        if result is not None:
            found[target] = result
    return found


def _unknown(key: str, fields: Mapping[str, Field], elsewhere: Mapping[str, str]) -> str:
    if key in elsewhere:
        return elsewhere[key]
    if len(fields) > _KNOWN_LISTED:
        hint = did_you_mean(key, fields)
    else:  # the list is better than a far-fetched word: gpu is no slip for cpu
        hint = did_you_mean(key, fields, 0.7) or f"; known here: {', '.join(sorted(fields))}"
    return f"unknown key {shown(key)}{hint}"


def _quote_hint(value: Any) -> str:
    return "; quote it" if type(value) in (int, float, bool) else ""


def _read_json(value: Any, path: Path, problems: Problems) -> Any:
    """Check that a value is JSON's: finite, in range, shallow, with text keys."""
    kind = type(value)
    if kind is dict or kind is list:
        if len(path) >= SPEC_DEPTH:
            problems.add(path, f"nested deeper than SPEC_DEPTH ({SPEC_DEPTH})")
        elif kind is list:
            for i, item in enumerate(value):
                _read_json(item, (*path, i), problems)
        else:
            for key, item in value.items():
                here = (*path, str(key))
                if type(key) is not str or _SURROGATE.search(key):
                    problems.add(here, "a key must be text")
                _read_json(item, here, problems)
    elif kind is str:
        if _SURROGATE.search(value):
            problems.add(path, "holds half of a surrogate pair, which UTF-8 can't carry")
    elif (
        not (value is None or kind is bool)
        and not (kind is int and value in INTEGERS)
        and not (kind is float and math.isfinite(value))
    ):
        problems.add(path, f"expected JSON, got {shown(value)}")
    return value


JSON: Final = Kind({}, _read_json)
