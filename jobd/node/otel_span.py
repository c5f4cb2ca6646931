"""Spans as OpenTelemetry's SDK has them. Imported only where the extra `otel` is in use."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from jobd import __version__
from jobd.span import Span

__all__ = ["converter"]

_KINDS: Final = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}


def converter(node: str) -> Callable[[Span], ReadableSpan]:
    """Return what makes a span of this node the SDK's; every field is set by us, none is its."""
    resource = Resource(
        {
            "service.name": "jobd",
            "service.version": __version__,
            "service.instance.id": node,
            "host.name": socket.gethostname(),
        }
    )
    scope = InstrumentationScope("jobd", __version__)

    def convert(span: Span) -> ReadableSpan:
        context = span.context
        flags = TraceFlags(context.flags)
        trace_id = int(context.trace_id, 16)
        parent = None
        if span.parent_id:
            parent = SpanContext(trace_id, int(span.parent_id, 16), is_remote=False)
        return ReadableSpan(
            name=span.name,
            context=SpanContext(trace_id, int(context.span_id, 16), False, flags),
            parent=parent,
            resource=resource,
            attributes=span.attributes,
            kind=_KINDS[span.kind],
            instrumentation_scope=scope,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start_ns,
            end_time=span.end_ns,
        )

    return convert
