"""A call of a method by its name: what handles of user actors send."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Invoke"]


class Invoke(msgspec.Struct, frozen=True, gc=False):  # no cycle goes through it
    """Call a method. Answered with what it returns, or with a stream of what it yields.

    Arguments and answers are plain values: None, booleans, 64-bit integers, floats, texts, bytes,
    lists and dicts of them, at most ENVELOPE_DEPTH deep; between processes a tuple arrives as a
    list. Whoever handles it checks `context.principal`: a vocabulary can't know a method's scope.
    """

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    call: int = 0  # a number of the caller's, unique in its process, by which it can be cancelled
