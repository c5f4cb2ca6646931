"""JSON Schema 2020-12 for inputs and outputs: checked schemas, checked values.

Rules of this file:
1. A schema refers to itself only; nothing is ever fetched.
2. A check takes at most STEPS keyword steps, so that no nest of references runs for hours. What a
   `pattern` costs is bounded only by the length of what it is matched against: Python's `re`
   can't be interrupted. So large outputs are checked beside the event loop.
3. Whatever the validator raises for a hostile schema is the schema's fault, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from actors.core.spec.problems import Path, shown

__all__ = ["STEPS", "schema_problems", "value_problems"]

STEPS: Final = 100_000
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_LISTED: Final = 20
_MESSAGE_CHARACTERS: Final = 200

Found = list[tuple[Path, str]]


class _TooManyStepsError(Exception):
    """The check went over its STEPS."""


def schema_problems(schema: dict[str, Any]) -> Found:
    """Return what is wrong with a schema; paths are relative to it."""
    from jsonschema import Draft202012Validator as Draft

    meta = Draft(Draft.META_SCHEMA, format_checker=Draft.FORMAT_CHECKER)
    return _collect(lambda: meta.iter_errors(schema)) or list(_reference_problems(schema))


def value_problems(schema: dict[str, Any], value: Any, most: int = _LISTED) -> Found:
    """Return what is wrong with a value under a checked schema; paths are relative to the value."""
    return _collect(lambda: _counting(schema).iter_errors(value), most)


def _collect(check: Callable[[], Iterator[Any]], most: int = _LISTED) -> Found:
    try:
        return [
            (tuple(error.absolute_path), _cut(error.message)) for error in islice(check(), most)
        ]
    except _TooManyStepsError:
        return [((), f"takes more than {STEPS} steps to check")]
    except Exception as error:  # rule 3
        return [((), f"the schema can't be used: {type(error).__name__}: {error}"[:300])]


def _cut(message: str) -> str:
    """A message begins with the value and ends with what is wrong with it: both ends stay."""
    half = _MESSAGE_CHARACTERS // 2
    return message if len(message) <= 2 * half else f"{message[:half]} ... {message[-half:]}"


def _counting(schema: dict[str, Any]) -> Any:
    """Return a validator that counts its steps and knows no other resource than the schema."""
    from jsonschema import Draft202012Validator as Draft
    from jsonschema.validators import extend
    from referencing import Registry

    steps = 0

    def counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
        def check(validator: Any, value: Any, instance: Any, subschema: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > STEPS:
                raise _TooManyStepsError
            return keyword(validator, value, instance, subschema)

        return check

    keywords = {name: counted(keyword) for name, keyword in Draft.VALIDATORS.items()}
    # A `$schema` would make the validator swap its class, and with it the counting.
    bare = {key: item for key, item in schema.items() if key != "$schema"}
    counting: Any = extend(Draft, keywords)  # type: ignore[no-untyped-call]
    return counting(bare, registry=Registry())


def _reference_problems(schema: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Find references that lead out of the schema or nowhere, and other dialects."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for path, item in _walk(schema, ()):
        if path[-1] == "$schema" and (item != _DIALECT or len(path) > 1):
            yield path, f"the dialect is {_DIALECT}, and only the whole schema names it"
        elif path[-1] in ("$ref", "$dynamicRef"):
            try:
                resolver.lookup(item)
            except Exception:  # rule 3
                yield path, f"{shown(item)} is not in this schema; nothing is fetched"


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield every text in a value with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _walk(item, (*path, i))
    elif isinstance(value, str):
        yield path, value
