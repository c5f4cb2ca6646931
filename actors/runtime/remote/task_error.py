"""TaskErrors that are also of the exception's own type, so that `except ValueError` catches them.

A peer names the type; nothing is imported or unpickled because it says so. The type counts when it
is built in or when its module is loaded here already; its constructor is not called. (Ray does the
same with pickled exceptions.)
"""

from __future__ import annotations

import sys
import traceback
from typing import Any, Final

from actors.errors import TaskError

__all__ = ["as_raised_here", "task_error"]

_TRACEBACK_CHARACTERS: Final = 16_384  # the end of it says most
_DUAL_TYPES: Final[dict[type, type[TaskError] | None]] = {}  # as many as exceptions are loaded
_PLAIN: Final = (str, int, float, bool, bytes, type(None))


class _Dual(TaskError):
    """TaskError's own ways, whatever the other base does."""

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


def task_error(error: BaseException, where: str) -> TaskError:
    """Return what a caller gets for an exception that a method raised."""
    cls = type(error)
    if isinstance(error, TaskError):  # of another actor that the method called
        failed = TaskError(f"{error.message}, called by {where}")
        failed.exception = error.exception
    else:
        failed = TaskError(f"{cls.__name__}: {error} (in {where})")
        failed.exception = f"{cls.__module__}:{cls.__qualname__}"
    plain = all(isinstance(value, _PLAIN) for value in error.args)
    failed.values = error.args if plain else (str(error),)
    text = "".join(traceback.format_exception(error))
    failed.remote_traceback = text[-_TRACEBACK_CHARACTERS:]
    failed.__cause__ = error  # for callers in this process
    return failed


def as_raised_here(failed: TaskError) -> TaskError:
    """Return the same failure, of the exception's own type as well if that is known here."""
    known = _known_type(failed.exception) if isinstance(failed.exception, str) else None
    dual = _dual_type(known) if known is not None else None
    if dual is None:
        error = failed
    else:
        error = dual.__new__(dual)
        error.message, error.remedy = failed.message, failed.remedy  # no constructor is called
        error.exception = failed.exception
        error.values = failed.values
        error.remote_traceback = failed.remote_traceback
        # A peer may have sent anything.
        error.args = tuple(failed.values) if isinstance(failed.values, list | tuple) else ()
        error.__cause__ = failed.__cause__
    if error.__cause__ is None and error.remote_traceback:
        error.add_note(f"\nThe actor's own traceback:\n{error.remote_traceback}")
    return error


def _known_type(name: str) -> type[Exception] | None:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _dual_type(known: type[Exception]) -> type[TaskError] | None:
    """Return a class that is both, None where Python can't make one."""
    if known not in _DUAL_TYPES:
        _DUAL_TYPES[known] = _make_dual_type(known)
    return _DUAL_TYPES[known]


def _make_dual_type(known: type[Exception]) -> type[TaskError] | None:
    if issubclass(TaskError, known):
        return None  # it is one already
    try:
        return type(f"TaskError[{known.__name__}]", (_Dual, known), {"__doc__": known.__doc__})
    except TypeError:
        return None
