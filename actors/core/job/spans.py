"""The spans of a job and its attempts: their places in a trace, told from the state alone.

Rules of this file:
T1  A job's span is a child of the request that submitted it, whose context the job's record keeps.
    A job that came without one is the root of a trace of its own.
T2  Ids are hashes of what a span is of. So whoever looks, at any node and after any restart, names
    the same span, nothing is kept for it, and a span that is told twice is one.
"""

from __future__ import annotations

import hashlib

from actors.model.trace import SpanContext

__all__ = ["attempt_span", "job_span"]


def job_span(job_id: str, trace: str) -> SpanContext:
    """Return the span of a job; `trace` is the context in its record, "" for none."""
    parent = SpanContext.parse(trace)
    if parent is None:
        return SpanContext(_hash(f"trace {job_id}", 16), _hash(f"job {job_id}", 8))
    return SpanContext(parent.trace_id, _hash(f"job {job_id}", 8), parent.flags)


def attempt_span(job: SpanContext, attempt_key: str) -> SpanContext:
    """Return the span of an attempt, a child of its job's."""
    return job._replace(span_id=_hash(attempt_key, 8))


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size, person=b"jobd-trace").hexdigest()
