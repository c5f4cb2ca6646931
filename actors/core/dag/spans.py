"""The span of a run: a child of what began it, named by a hash, as a job's is (T1, T2)."""

from __future__ import annotations

import hashlib

from actors.model.trace import SpanContext

__all__ = ["run_span"]


def run_span(run_id: str, trace: str) -> SpanContext:
    """Return the span of a run; `trace` is the context in its record, "" for none."""
    parent = SpanContext.parse(trace)
    if parent is None:
        return SpanContext(_hash(f"trace {run_id}", 16), _hash(f"run {run_id}", 8))
    return SpanContext(parent.trace_id, _hash(f"run {run_id}", 8), parent.flags)


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size, person=b"jobd-trace").hexdigest()
