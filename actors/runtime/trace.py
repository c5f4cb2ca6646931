"""The trace that the present turn belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context).

A `traceparent` text travels with each letter; what a handler sends or logs in its turn belongs to
the same trace.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

__all__ = ["CURRENT", "is_traceparent"]

CURRENT: Final[ContextVar[str | None]] = ContextVar("traceparent", default=None)
_FORM: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def is_traceparent(text: str) -> bool:
    """Say whether a text is a version 00 traceparent."""
    return _FORM.fullmatch(text) is not None
