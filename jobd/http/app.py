"""The facade put together: the table of routes behind the guard, on a port."""

from __future__ import annotations

import errno
import logging
import os
import resource
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from actors import limits
from actors.errors import ConfigError
from jobd import __version__
from jobd.api.call import Call, Clock, Reply
from jobd.api.gateway import Gateway
from jobd.api.health import HEALTH_ROUTES
from jobd.api.query import ReadQuery
from jobd.api.route import SSE, Route
from jobd.api.table import PREFIX, ROUTES
from jobd.http.connections import Connections, GuardedRunner
from jobd.http.dispatch import dispatcher
from jobd.http.guard import (
    LOOPBACK,
    Guard,
    Refused,
    add_security_headers,
    host_guard,
    log_refusal,
    principal_of,
    problems,
    split_host,
)
from jobd.http.openapi import openapi
from jobd.http.sse import end_streams
from jobd.http.tracing import traced
from jobd.span import Span

__all__ = ["build_app", "build_metrics_app", "route_table", "serve"]

SHUTDOWN_S: Final = 1.0
KEEPALIVE_S: Final = 75.0
_OTHER_FILES: Final = 500
_SCOPES: Final = ("public", "read", "run", "write", "admin")


async def get_openapi(call: Call[ReadQuery, None]) -> Reply:
    """Return this API's OpenAPI document."""
    return Reply(openapi(route_table(), __version__))


_OPENAPI: Final = Route(
    "GET",
    "/openapi.json",
    "read",
    get_openapi,
    "Get the OpenAPI document",
    query=ReadQuery,
    returns=dict[str, Any],
)


def route_table() -> list[tuple[str, Route]]:
    """Return every route with its full path."""
    root = [(route.path, route) for route in HEALTH_ROUTES]
    return root + [(PREFIX + route.path, route) for route in (*ROUTES, _OPENAPI)]


def _nowhere(_: Span) -> None:
    """Spans are not wanted."""


def build_app(
    gateway: Gateway,
    *,
    clock: Clock,
    auth_enabled: bool = True,
    allowed_hosts: tuple[str, ...] = (),
    record: Callable[[Span], None] = _nowhere,
) -> web.Application:
    """Return the facade over a node; `allowed_hosts` are further names that it answers to.

    `record` takes the spans of requests.
    """
    matched: dict[web.AbstractRoute, Route] = {}
    guard = Guard(gateway, clock, matched, auth_enabled=auth_enabled)
    app = web.Application(
        client_max_size=limits.BODY_BYTES,
        middlewares=[
            traced(record),
            problems,
            _host_guard(allowed_hosts, guard.refuse),
            guard.middleware,
        ],
    )
    table = route_table()
    for path, route in table:
        handler = dispatcher(route, gateway, clock, principal_of)
        resource = app.router.add_resource(_apart(path, table))
        matched[resource.add_route(route.method, handler)] = route
        if route.method == "GET" and route.produces != SSE:
            matched[resource.add_route("HEAD", handler)] = route
    app.on_response_prepare.append(add_security_headers)
    app.on_response_prepare.append(guard.add_headers)
    app.on_startup.append(_only_declared_routes(matched))
    end_streams(app)
    return app


def _apart(path: str, table: list[tuple[str, Route]]) -> str:
    """Keep a path's last parameter apart from the paths that have a word in its place.

    Else `GET /jobs/plan` would be the job with the id `plan`, and not a wrong method.
    """
    root, _, last = path.rpartition("/")
    if not (last.startswith("{") and last.endswith("}")) or ":" in last:
        return path
    words = {other.rpartition("/") for other, _ in table}
    taken = sorted(word for there, _, word in words if there == root and "{" not in word)
    return f"{root}/{last[:-1]}:(?!(?:{'|'.join(taken)})$)[^{{}}/]+}}" if taken else path


def build_metrics_app(
    registry: CollectorRegistry, *, allowed_hosts: tuple[str, ...] = ()
) -> web.Application:
    """Return the app of the metrics port: GET /metrics, no credential, the same Host guard."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application(middlewares=[problems, _host_guard(allowed_hosts, log_refusal)])
    app.router.add_get("/metrics", metrics)
    app.on_response_prepare.append(add_security_headers)
    return app


async def serve(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an app and return (runner, actual port); port 0 picks one.

    `await runner.cleanup()` ends it within about SHUTDOWN_S. Raises ConfigError when the port is
    taken or the address is not this machine's.
    """
    server_logger.addFilter(_in_one_line)
    runner = GuardedRunner(
        app,
        Connections(_most_connections()),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_S,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as e:
        await runner.cleanup()
        taken = e.errno == errno.EADDRINUSE
        # asyncio's own text repeats the address and hides the cause; a resolver's has no errno.
        cause = os.strerror(e.errno) if e.errno and e.errno > 0 else e.strerror
        raise ConfigError(
            f"{host}:{port} "
            + ("is taken by another process" if taken else f"can't be bound: {cause}"),
            remedy="Choose another port with --http or --metrics; port 0 picks a free one.",
        ) from None
    actual: int = runner.addresses[0][1]
    return runner, actual


def _most_connections() -> int:
    """Leave files to the rest of the node: without one it could not even write its log."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(limits.HTTP_CONNECTIONS, max(1, allowed - _OTHER_FILES))


def _in_one_line(record: logging.LogRecord) -> bool:
    """What is no HTTP is worth a line of the log: whoever sends it needs no credential."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg = f"{record.msg}: {type(error).__name__}"
        record.exc_info = None
    return True


def _host_guard(allowed_hosts: tuple[str, ...], refused: Refused) -> Middleware:
    return host_guard(LOOPBACK | {split_host(name) for name in allowed_hosts}, refused)


def _only_declared_routes(matched: dict[web.AbstractRoute, Route]) -> Any:
    """An app with a route that the table lacks, or without a scope, does not start."""

    async def check(app: web.Application) -> None:
        for served in app.router.routes():
            route = matched.get(served)
            if route is None or route.scope not in _SCOPES:
                raise RuntimeError(f"the route {served} has no declared scope")

    return check
