"""Whether every value of one JSON Schema is a value of another: the common subset of both.

Rules of this file:
1. `yes` is proved keyword by keyword. `no` names a value that only the first one lets through, and
   is said only where the first is made of keywords that this file knows.
2. Anything else is `unknown`, with the keyword that it failed at: a warning, never an error.
3. Depth and width are bounded; whoever writes schemas beyond that gets `unknown`.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

from actors.core.spec.json_schema import value_problems
from actors.core.spec.problems import shown

__all__ = ["Verdict", "subsumes"]

_DEPTH: Final = 16
_BRANCHES: Final = 32
_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
# fmt: off
_NOTES: Final = frozenset((
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly", "format", "contentMediaType", "contentEncoding",
))
_KNOWN: Final = _NOTES | frozenset((
    "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "pattern", "uniqueItems",
))
# fmt: on
# lower bounds, upper bounds, and the type that each is of
_LOWER: Final = {"minLength": "string", "minItems": "array", "minProperties": "object"}
_UPPER: Final = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}


class Verdict(NamedTuple):
    """yes, no or unknown; where in the value, and why not."""

    answer: Literal["yes", "no", "unknown"]
    path: tuple[str, ...] = ()
    why: str = ""


_YES: Final = Verdict("yes")
Schema = Any  # a mapping or a boolean


def subsumes(wide: Schema, narrow: Schema) -> Verdict:
    """Say whether `wide` takes every value of `narrow`."""
    return _within(narrow, wide, (), 0)


def _within(narrow: Schema, wide: Schema, path: tuple[str, ...], depth: int) -> Verdict:
    if wide is True or narrow is False or wide == narrow:
        return _YES
    if wide is False:
        return Verdict("no", path, "nothing is taken here")
    if not _said(wide):
        return _YES
    if depth > _DEPTH:
        return Verdict("unknown", path, "nested too deep to compare")
    if narrow is True:
        narrow = {}
    odd = [key for key in (*wide, *narrow) if key not in _KNOWN]
    if odd:
        return Verdict("unknown", path, f"{shown(odd[0])} is not compared")
    if "enum" in narrow or "const" in narrow:
        return _values(narrow, wide, path)
    if "anyOf" in narrow:
        return _each_branch(narrow, wide, path, depth)
    if "anyOf" in wide:
        return _some_branch(narrow, wide, path, depth)
    if "enum" in wide or "const" in wide:
        return Verdict("no", path, f"only {_listed(wide)} is taken, and there are others")
    return _keywords(narrow, wide, path, depth)


def _said(schema: Schema) -> dict[str, Any]:
    """What a schema asks for, its notes left out."""
    return {} if schema is True else {k: v for k, v in schema.items() if k not in _NOTES}


def _listed(schema: dict[str, Any]) -> str:
    values = schema.get("enum", [schema.get("const")])
    return ", ".join([shown(value) for value in values[:4]])


def _values(narrow: dict[str, Any], wide: Schema, path: tuple[str, ...]) -> Verdict:
    """Try the values that there are."""
    values = narrow.get("enum", [narrow.get("const")])
    rest = {key: item for key, item in narrow.items() if key != "enum"}
    for value in values[:1000]:
        if not value_problems(rest, value, 1) and (found := value_problems(wide, value, 1)):
            return Verdict("no", path, found[0][1])
    return _YES if len(values) <= 1000 else Verdict("unknown", path, "too many values to compare")


def _each_branch(
    narrow: dict[str, Any], wide: Schema, path: tuple[str, ...], depth: int
) -> Verdict:
    rest = {key: item for key, item in narrow.items() if key != "anyOf"}
    if _said(rest):
        whole = _within(rest, wide, path, depth + 1)
        if whole.answer == "yes":
            return whole
    verdicts = [
        _within(branch if not _said(rest) else _merged(rest, branch), wide, path, depth + 1)
        for branch in narrow["anyOf"][:_BRANCHES]
    ]
    if len(narrow["anyOf"]) > _BRANCHES:
        verdicts.append(Verdict("unknown", path, "too many branches to compare"))
    order = {"no": 0, "unknown": 1, "yes": 2}
    return min(verdicts, key=lambda verdict: order[verdict.answer])


def _merged(rest: dict[str, Any], branch: Schema) -> Schema:
    """Both at once, where no keyword stands in both; else a schema that is compared to nothing."""
    if branch is True:
        return rest
    if branch is False or not rest.keys() & branch.keys():
        return False if branch is False else {**rest, **branch}
    return {"allOf": [rest, branch]}


def _some_branch(
    narrow: dict[str, Any], wide: dict[str, Any], path: tuple[str, ...], depth: int
) -> Verdict:
    rest = {key: item for key, item in wide.items() if key != "anyOf"}
    around = _within(narrow, rest, path, depth + 1)
    if around.answer != "yes":
        return around
    verdicts = [_within(narrow, branch, path, depth + 1) for branch in wide["anyOf"][:_BRANCHES]]
    if any(verdict.answer == "yes" for verdict in verdicts):
        return _YES
    kinds = _types(narrow)
    if len(kinds) > 1:  # each type may have a branch of its own
        parts = [_within({**narrow, "type": kind}, wide, path, depth + 1) for kind in sorted(kinds)]
        order = {"no": 0, "unknown": 1, "yes": 2}
        return min(parts, key=lambda verdict: order[verdict.answer])
    if all(not _meet(kinds, _types(branch)) for branch in wide["anyOf"]):
        return Verdict("no", path, f"{'/'.join(sorted(kinds))} is none of what is taken")
    return Verdict("unknown", path, "none of the anyOf takes all of it by itself")


def _meet(kinds: set[str], others: set[str]) -> bool:
    """Say whether a value may be of both."""
    numbers = {"integer", "number"}
    return bool(kinds & others or (kinds & numbers and others & numbers))


def _types(schema: Schema) -> set[str]:
    """The types that a schema lets through."""
    if schema is True:
        return set(_TYPES) - {"integer"}
    if schema is False:
        return set()
    said = schema.get("type")
    if said is None:
        return set(_TYPES) - {"integer"}
    return {said} if isinstance(said, str) else set(said)


def _keywords(
    narrow: dict[str, Any], wide: dict[str, Any], path: tuple[str, ...], depth: int
) -> Verdict:
    kinds, taken = _types(narrow), _types(wide)
    extra = {kind for kind in kinds - taken if not (kind == "integer" and "number" in taken)}
    if extra:
        whole = "number" in extra and "integer" in taken
        what = "a number that isn't whole" if whole else "/".join(sorted(extra))
        return Verdict("no", path, f"{what} is not taken; {'/'.join(sorted(taken))} is")
    for check in (_bounds, _patterns, _items, _objects):
        verdict = check(narrow, wide, kinds, path, depth)
        if verdict.answer != "yes":
            return verdict
    return _YES


def _bounds(
    narrow: dict[str, Any], wide: dict[str, Any], kinds: set[str], path: tuple[str, ...], depth: int
) -> Verdict:
    for key, kind in _LOWER.items():
        if kind in kinds and wide.get(key, 0) > narrow.get(key, 0):
            return Verdict("no", path, f"{key} {wide[key]} is asked for")
    for key, kind in _UPPER.items():
        if kind in kinds and key in wide and wide[key] < narrow.get(key, float("inf")):
            return Verdict("no", path, f"{key} {wide[key]} is asked for")
    if not kinds & {"integer", "number"}:
        return _YES
    low, high = _range(narrow)
    if "number" not in kinds:  # of whole numbers the next one is the least above an open end
        low = (math.floor(low[0]) + 1, 0) if low[1] and math.isfinite(low[0]) else low
        high = (math.ceil(high[0]) - 1, 0) if high[1] and math.isfinite(high[0]) else high
    wide_low, wide_high = _range(wide)
    if low < wide_low or high > wide_high:
        return Verdict("no", path, f"a number from {wide_low[0]} to {wide_high[0]} is asked for")
    if "multipleOf" in wide and narrow.get("multipleOf") != wide["multipleOf"]:
        return Verdict("unknown", path, "multipleOf is not compared")
    return _YES


def _range(schema: dict[str, Any]) -> tuple[tuple[float, int], tuple[float, int]]:
    """Return the least and the greatest; the second number tells an open end from a closed one."""
    lows = [(float("-inf"), 0)]
    highs = [(float("inf"), 0)]
    for key, sign in (("minimum", 0), ("exclusiveMinimum", 1)):
        if key in schema:
            lows.append((schema[key], sign))
    for key, sign in (("maximum", 0), ("exclusiveMaximum", -1)):
        if key in schema:
            highs.append((schema[key], sign))
    return max(lows), min(highs)


def _patterns(
    narrow: dict[str, Any], wide: dict[str, Any], kinds: set[str], path: tuple[str, ...], depth: int
) -> Verdict:
    if "string" in kinds and "pattern" in wide and narrow.get("pattern") != wide["pattern"]:
        if "pattern" in narrow:
            return Verdict("unknown", path, "two patterns are not compared")
        return Verdict("unknown", path, f"the pattern {shown(wide['pattern'])} is asked for")
    return _YES


def _items(
    narrow: dict[str, Any], wide: dict[str, Any], kinds: set[str], path: tuple[str, ...], depth: int
) -> Verdict:
    if "array" not in kinds:
        return _YES
    if wide.get("uniqueItems") and not narrow.get("uniqueItems"):
        return Verdict("unknown", path, "uniqueItems is asked for")
    if "items" in wide and narrow.get("maxItems") != 0:
        return _within(narrow.get("items", True), wide["items"], (*path, "[]"), depth + 1)
    return _YES


def _objects(
    narrow: dict[str, Any], wide: dict[str, Any], kinds: set[str], path: tuple[str, ...], depth: int
) -> Verdict:
    if "object" not in kinds:
        return _YES
    has, wanted = narrow.get("properties", {}), wide.get("properties", {})
    for name in wide.get("required", ()):
        if name not in narrow.get("required", ()):
            return Verdict("no", (*path, name), "it is required, and may be missing")
    others = narrow.get("additionalProperties", True)
    for name, schema in wanted.items():
        verdict = _within(has.get(name, others), schema, (*path, name), depth + 1)
        if verdict.answer != "yes":
            return verdict
    rest = wide.get("additionalProperties", True)
    for name in has.keys() - wanted.keys():
        verdict = _within(has[name], rest, (*path, name), depth + 1)
        if verdict.answer != "yes":
            return verdict
    return _within(others, rest, (*path, "*"), depth + 1)
