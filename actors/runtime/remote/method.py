"""Methods: what of a class can be called from elsewhere.

The public functions of the class, inherited ones too. Names that begin with `_`, properties, class
and static methods aren't callable, so nothing becomes reachable that wasn't written as a method.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

__all__ = ["DEFAULT_SCOPE", "Method", "did_you_mean", "method", "methods_of", "waits"]

DEFAULT_SCOPE: Final = "run"
_SCOPES: Final = ("read", "run", "write", "admin")
_F = TypeVar("_F", bound=Callable[..., Any])


class Method(msgspec.Struct, array_like=True, frozen=True):
    """One method: the scope that a caller from another process needs, and if it streams items."""

    name: str
    scope: str = DEFAULT_SCOPE
    streams: bool = False


def method(*, scope: str) -> Callable[[_F], _F]:
    """Say which scope a caller's token needs for a method; without it that is `run`.

    Raises ValueError for a scope that there is not.
    """
    if scope not in _SCOPES:
        raise ValueError(f"no scope {scope!r}; there are {', '.join(_SCOPES)}")

    def mark(function: _F) -> _F:
        function.__dict__["actor_scope"] = scope
        return function

    return mark


def methods_of(cls: type) -> dict[str, Method]:
    """Return the methods of a class by name."""
    found = {}
    for name in dir(cls):
        function = inspect.getattr_static(cls, name)
        if not name.startswith("_") and inspect.isfunction(function):
            streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
            scope = function.__dict__.get("actor_scope", DEFAULT_SCOPE)
            found[name] = Method(name, scope, streams)
    return found


def waits(cls: type) -> bool:
    """Say whether a class has `async` methods, and so lives on the actor loop."""
    functions = [getattr(cls, name) for name in methods_of(cls)]
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in functions
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, "" when none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
