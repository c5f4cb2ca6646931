"""The trace that the present turn belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context).

A `traceparent` text travels with each letter; what a handler sends or logs in its turn belongs to
the same trace.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

__all__ = ["CURRENT"]

CURRENT: Final[ContextVar[str | None]] = ContextVar("traceparent", default=None)
