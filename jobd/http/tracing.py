"""The trace of a request: its traceparent is honoured, or one is minted; at its end a span is told.

Whatever the request leads to is done under it: the job that it submits, the node's log lines.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from actors.model.trace import SpanContext
from actors.runtime.trace import CURRENT
from jobd.span import Span

__all__ = ["traced"]

_log: Final = logging.getLogger("jobd.http")
_SERVER_ERROR: Final = 500


def traced(record: Callable[[Span], None]) -> Middleware:
    """Return the middleware; `record` takes the span of every request whose trace is sampled."""

    @web.middleware
    async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
        parent = SpanContext.parse(request.headers.get("traceparent", ""))
        context = _child(parent)
        began_ns, status = time.time_ns(), 0
        before = CURRENT.set(context.traceparent)
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            _log.debug("%s %s: %s", request.method, request.path, status or "broken off")
            if context.is_sampled:
                parent_id = parent.span_id if parent is not None else ""
                record(_span(request, context, parent_id, began_ns, status))
            CURRENT.reset(before)

    return trace


def _child(parent: SpanContext | None) -> SpanContext:
    if parent is None:
        return SpanContext(secrets.token_hex(16), secrets.token_hex(8))
    return parent._replace(span_id=secrets.token_hex(8))


def _span(
    request: web.Request, context: SpanContext, parent_id: str, began_ns: int, status: int
) -> Span:
    """By OpenTelemetry's conventions for HTTP servers; the path's own parts are no name."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    attributes = {
        "http.request.method": request.method,
        "http.route": route,
        "http.response.status_code": status,
        "url.path": request.path,
    }
    failed = status >= _SERVER_ERROR or status == 0
    return Span(
        f"{request.method} {route}".strip(),
        context,
        parent_id,
        began_ns,
        time.time_ns(),
        {key: value for key, value in attributes.items() if value},
        kind="server",
        error=(str(status) if status else "broken off") if failed else "",
    )
