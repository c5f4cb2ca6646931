"""Query parameters to typed structs, with a coercion of our own.

`msgspec.convert(strict=False)` would read `null` as None and take the last of a repeated key;
here a text field takes any text, a repeated or an unknown key is an error, and only a list field
may repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, inspect

from actors import limits
from actors.core.spec.quantity import (
    DURATION_PATTERN,
    MOMENT_PATTERN,
    duration_ms,
    moment_ms,
)
from actors.errors import InvalidInput
from actors.model.ids import ID_RE

__all__ = [
    "ListQuery",
    "NoQuery",
    "NodeId",
    "Number",
    "PageSize",
    "ReadQuery",
    "Revision",
    "Since",
    "TaskIndex",
    "Wait",
    "moment_or_ago",
    "parse_query",
    "wait_seconds",
]

_Q = TypeVar("_Q", bound=msgspec.Struct)
# Patterns that only the documentation has: the handlers say better what is wrong.
Since = Annotated[
    str, Meta(extra_json_schema={"pattern": f"(?:{MOMENT_PATTERN})|(?:{DURATION_PATTERN})"})
]
Wait = Annotated[str, Meta(extra_json_schema={"pattern": f"(?:^[0-9]+$)|(?:{DURATION_PATTERN})"})]
TaskIndex = Annotated[int, Meta(ge=0, lt=limits.TASKS)]
Number = Annotated[int, Meta(ge=0, lt=2**53)]
NodeId = Annotated[str, Meta(extra_json_schema={"pattern": f"^{ID_RE.pattern}$"})]
PageSize = Annotated[int, Meta(ge=1, le=limits.LIST_ITEMS)]
Revision = Annotated[int, Meta(ge=0, le=2**53)]
_PLACE: Final = re.compile(r" - at `\$\.(\w+)[^`]*`")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route without parameters."""


class ReadQuery(NoQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every read takes: how fresh the answer must be.

    With `min_revision` it waits until the node has applied that. `consistency` is `local` (what is
    applied here), `session` (as local, and `min_revision` must be there: the X-JobD-Revision that
    the caller saw last) or `linearizable` (all that was acknowledged anywhere before the read).
    """

    min_revision: Revision | None = None
    consistency: Literal["local", "session", "linearizable"] = "local"


class ListQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every list takes."""

    cursor: str | None = None
    limit: PageSize = 50


def parse_query(pairs: Iterable[tuple[str, str]], into: type[_Q]) -> _Q:
    """Return the struct that the parameters make. Raises InvalidInput naming the parameter."""
    fields = _fields(into)
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        values.setdefault(name, []).append(text)
    taken: dict[str, Any] = {}
    for name, texts in values.items():
        field = fields.get(name)
        if field is None:
            known = ", ".join(sorted(fields)) or "none"
            raise InvalidInput(
                f"unknown query parameter {name!r}", remedy=f"This route takes: {known}."
            )
        type_ = _without_none(field.type)
        if isinstance(type_, inspect.ListType | inspect.VarTupleType):
            taken[name] = [_coerce(name, text, type_.item_type) for text in texts]
        elif len(texts) > 1:
            raise InvalidInput(f"query parameter {name!r} came {len(texts)} times")
        else:
            taken[name] = _coerce(name, texts[0], type_)
    try:
        return msgspec.convert(taken, into)
    except msgspec.ValidationError as e:
        raise InvalidInput(_in_words(str(e), fields)) from None


def wait_seconds(text: str) -> float:
    """Return the seconds of a `wait`, `30s` or `30`. Raises InvalidInput above WAIT_S."""
    ms = duration_ms(f"{text}s" if text.isdecimal() else text)
    if ms is None or ms > limits.WAIT_S * 1_000:
        raise InvalidInput(f"wait must be a duration up to {limits.WAIT_S}s (WAIT_S), not {text!r}")
    return ms / 1_000


def moment_or_ago(name: str, text: str | None, now_ms: int) -> int:
    """Return Unix milliseconds of a moment (RFC 3339) or of how long ago (`10m`), 0 without one.

    Raises InvalidInput naming the parameter.
    """
    if text is None:
        return 0
    ago_ms, moment = duration_ms(text), moment_ms(text)
    if ago_ms is None and moment is None:
        raise InvalidInput(f"{name} must be a moment or a duration such as 10m, not {text!r}")
    return moment or now_ms - (ago_ms or 0)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    """Return the fields of a route's query by name; there are as many structs as routes."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: field for field in info.fields}


def _in_words(error: str, fields: dict[str, inspect.Field]) -> str:
    """Say what msgspec found, in the terms of whoever wrote the query."""
    where = _PLACE.search(error)
    name = where[1] if where is not None else ""
    type_ = _without_none(fields[name].type) if name in fields else None
    if isinstance(type_, inspect.IntType) and type_.ge is not None and type_.le is not None:
        return f"{name} must be {type_.ge} to {type_.le}"
    return f"query parameter {name or '?'}: {_PLACE.sub('', error)}"


def _without_none(type_: inspect.Type) -> inspect.Type:
    if not isinstance(type_, inspect.UnionType):
        return type_
    (only,) = [t for t in type_.types if not isinstance(t, inspect.NoneType)]
    return only


def _coerce(name: str, text: str, type_: inspect.Type) -> str | int | bool:
    if isinstance(type_, inspect.IntType):
        if not _INTEGER.fullmatch(text):
            raise InvalidInput(f"query parameter {name!r} must be an integer, not {text!r}")
        return int(text)
    if isinstance(type_, inspect.BoolType):
        if text.lower() not in _BOOLEANS:
            raise InvalidInput(f"query parameter {name!r} must be true or false, not {text!r}")
        return _BOOLEANS[text.lower()]
    return text
