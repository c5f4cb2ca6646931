"""Trace contexts: where in which trace something happens (https://www.w3.org/TR/trace-context)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["SpanContext", "is_traceparent"]

_FORM: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class SpanContext(NamedTuple):
    """A span's place: ids in hex; `flags` has bit 0 for a trace that is recorded."""

    trace_id: str
    span_id: str
    flags: int = 1

    @classmethod
    def parse(cls, text: str) -> SpanContext | None:
        """Return what a version 00 traceparent says, None for any other text."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(found[1], found[2], int(found[3], 16))

    @property
    def traceparent(self) -> str:
        """The text that goes along."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def is_sampled(self) -> bool:
        """Whether who began the trace wants it recorded."""
        return bool(self.flags & 1)


def is_traceparent(text: str) -> bool:
    """Say whether a text is a version 00 traceparent."""
    return _FORM.fullmatch(text) is not None
