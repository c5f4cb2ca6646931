"""A span: something that took a while, with its place in a trace. Told when it is over."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from actors.model.trace import SpanContext

__all__ = ["Span"]


class Span(NamedTuple):
    """Times are Unix nanoseconds. `parent_id` is a span's id in hex, "" for the root."""

    name: str
    context: SpanContext
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    kind: Literal["server", "internal"] = "internal"
    error: str = ""  # what went wrong, if it did
