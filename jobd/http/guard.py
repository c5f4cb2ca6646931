"""What stands before every handler, in this order:

G1  Every request gets an id and every refusal is a problem document; nothing leaks a traceback.
G2  Host must be on the allow-list, on every method (DNS rebinding: CVE-2026-27482, CVE-2025-62593).
G3  A foreign Origin or a cross-site fetch is refused, on every method.
G4  Who may is decided from the matched route object, never from the path's text
    (CVE-2026-53576); what matched no route is denied like any other route.
G5  A body must come in a type that the route names, so that no form of a foreign page gets in.
G6  No credential: 401. A credential without the scope: 403.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from actors import limits
from actors.core.audit import AuditDraft
from actors.errors import Busy, Forbidden, InvalidInput, JobdError, NotFound, Unauthenticated
from jobd.api.audit import SUBJECT_CHARS
from jobd.api.call import Clock
from jobd.api.gateway import Gateway
from jobd.api.principal import LOCAL, Principal, authenticate
from jobd.api.problem import ProblemDetails, problem_of
from jobd.api.route import ANY_TYPE, JSON, Route
from jobd.http.connections import note_arrival
from jobd.http.dispatch import REQUEST_ID, origin_of, respond_problem
from jobd.http.rates import Rates

__all__ = [
    "Guard",
    "Refused",
    "add_security_headers",
    "host_guard",
    "log_refusal",
    "principal_of",
    "problems",
    "split_host",
]

_log = logging.getLogger("jobd.http")

LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "[::1]"))
Refused = Callable[[web.Request, str], None]  # told what a request was refused for
SAFE: Final = frozenset(("GET", "HEAD"))
_ANSWERED: Final = web.RequestKey("answered", bool)
_NOTE_ANSWER: Final[web.RequestKey[Callable[[], None]]] = web.RequestKey("note_answer")
_LEFT: Final = web.RequestKey("left", int)  # of its rate
_PRINCIPAL: Final = web.RequestKey("principal", Principal)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT: Final = re.compile(r":[0-9]{1,5}\Z")
_SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "jobd",
    "X-Content-Type-Options": "nosniff",
}


def split_host(text: str) -> str:
    """Return the host of a Host header, in lower case and without its port."""
    return _PORT.sub("", text.strip().lower())


def principal_of(request: web.Request) -> Principal:
    """Return who sent a request that passed the guard."""
    return request[_PRINCIPAL]


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal `on_response_prepare`: every response, streams too, says the same."""
    for name, value in _SECURITY_HEADERS.items():
        if name not in response.headers or name == "Server":
            response.headers[name] = value
    response.headers["X-Request-ID"] = request.get(REQUEST_ID, "")
    request[_ANSWERED] = True
    request[_NOTE_ANSWER]()


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, and turn every error into a problem (G1)."""
    asked = request.headers.get("X-Request-ID", "")
    request_id = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
    request[REQUEST_ID] = request_id
    request[_NOTE_ANSWER] = note_arrival(request)
    try:
        return await handler(request)
    except ConnectionResetError:
        raise
    except Exception as e:
        if request.get(_ANSWERED):
            # A stream has begun: nothing can be said any more, the connection is broken off.
            _log.warning("request %s: %s ended by %r", request_id, request.path, e)
            raise
        return _answer(e, request, request_id)


def _answer(error: Exception, request: web.Request, request_id: str) -> web.StreamResponse:
    if isinstance(error, JobdError):
        return respond_problem(problem_of(error, instance=request_id))
    if isinstance(error, web.HTTPException):
        return error if error.status < 400 else _from_http(error, request_id)
    _log.error("request %s: %s %s", request_id, request.method, request.path, exc_info=error)
    broken = JobdError(f"the node failed; its log has request {request_id}")
    return respond_problem(problem_of(broken, instance=request_id))


def _from_http(error: web.HTTPException, request_id: str) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        wrong: JobdError = InvalidInput(f"this path does not take {error.method}")
        response = respond_problem(
            problem_of(wrong, code="method_not_allowed", instance=request_id)
        )
        response.headers["Allow"] = error.headers["Allow"]
        return response
    if error.status == 404:
        return respond_problem(problem_of(NotFound("no such route"), instance=request_id))
    return respond_problem(
        ProblemDetails(
            type="about:blank",
            title=error.reason,
            status=error.status,
            instance=request_id,
        )
    )


def host_guard(allowed_hosts: frozenset[str], refused: Refused) -> Middleware:
    """Return the middleware of G2 and G3."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or split_host(hosts[0]) not in allowed_hosts:
            refused(request, "host")
            raise Forbidden(
                f"the host {', '.join(hosts) or '(none)'} is not one of this node's names",
                remedy="Use 127.0.0.1 or localhost, or name the host in http.allowed_hosts.",
            )
        if _is_foreign(request, hosts[0]):
            refused(request, "origin")
            raise Forbidden("requests of other sites are refused")
        return await handler(request)

    return check


def _is_foreign(request: web.Request, host: str) -> bool:
    origins = request.headers.getall("Origin", [])
    if any(urlsplit(origin).netloc.lower() != host.strip().lower() for origin in origins):
        return True
    site = request.headers.get("Sec-Fetch-Site", "none")
    followed_link = request.method in SAFE and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return site not in ("same-origin", "none") and not followed_link


class Guard:
    """G4, G5 and G6: decides from the route object that the router matched."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        routes: Mapping[web.AbstractRoute, Route],
        *,
        auth_enabled: bool,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._routes = routes
        self._auth_enabled = auth_enabled
        self._rates = Rates("default", limits.REQUESTS_PER_S, limits.REQUESTS_BURST, time.monotonic)
        self._refusals = Rates(
            "refused", limits.REFUSED_PER_S, limits.REFUSED_BURST, time.monotonic
        )

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Signal `on_response_prepare`: tell whoever was admitted of its rate and the revision.

        Also how old that may be, where the node is cut off from the others.
        """
        left = request.get(_LEFT)
        if left is not None:
            response.headers.update(self._rates.headers(left))
        if _PRINCIPAL not in request:
            return
        if "X-JobD-Revision" not in response.headers:
            response.headers["X-JobD-Revision"] = str(self._gateway.view.revision)
        stale_ms = self._gateway.cluster.stale_ms
        if stale_ms:
            response.headers["X-JobD-Stale"] = str(stale_ms)

    @property
    def middleware(self) -> Middleware:
        """The guard as aiohttp takes it."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = self._routes.get(request.match_info.route)
            principal = self._admit(request, route)
            request[_PRINCIPAL] = principal
            self._limit(request, principal)
            if route is not None:
                self._check_body_type(request, route)
            try:
                return await handler(request)
            except Unauthenticated:
                self._count_refusal(request, route)
                raise

        return check

    def _admit(self, request: web.Request, route: Route | None) -> Principal:
        if not self._auth_enabled or (route is not None and route.scope == "public"):
            return LOCAL
        principal = authenticate(
            self._gateway.view, request.headers.get("Authorization"), self._clock()
        )
        if principal is None:
            self._deny(request, "credential", route)
            if self._refusals.take(request.remote or "") is None:  # nor does it fill the log
                raise Busy("too many requests without a valid token came from this address")
            log_refusal(request, "credential")
            raise Unauthenticated(
                "no valid token came with the request",
                remedy="Send `Authorization: Bearer jobd_…`; the node's own is in admin.token.",
            )
        if route is not None and not principal.may(route.scope):
            self._deny(request, f"scope {route.scope}", route, principal.token_id)
            log_refusal(request, f"scope {route.scope}", principal.token_id)
            raise Forbidden(f"the token {principal.token_id} lacks the scope {route.scope}")
        return principal

    def _count_refusal(self, request: web.Request, route: Route | None) -> None:
        """Have whoever does not prove what it sends wait, as without a valid token."""
        self._deny(request, "proof", route)
        if self._refusals.take(request.remote or "") is None:
            raise Busy("too many requests without a valid proof came from this address")

    def refuse(self, request: web.Request, what: str) -> None:
        """Record a refusal that came before the route was looked at."""
        log_refusal(request, what)
        self._deny(request, what, None)

    def _deny(self, request: web.Request, what: str, route: Route | None, who: str = "") -> None:
        """Tell the audit trail of a refusal."""
        origin = origin_of(request)
        self._gateway.audit.deny(
            AuditDraft(
                time_ms=self._clock(),
                operation=route.operation if route is not None else request.method,
                decision="denied",
                outcome=what,
                actor=who,
                subject=request.path[:SUBJECT_CHARS],
                door=origin.door,
                remote=origin.remote,
                request=origin.request,
            )
        )

    def _limit(self, request: web.Request, principal: Principal) -> None:
        anybody = principal is LOCAL
        who = f"address {request.remote}" if anybody else f"the token {principal.token_id}"
        left = self._rates.take(who)
        request[_LEFT] = left or 0
        if left is None:
            raise Busy(
                f"{who} sends more than {limits.REQUESTS_PER_S} requests a second (REQUESTS_PER_S)",
                remedy="Wait for as long as Retry-After says; POST /jobs/batch takes many jobs.",
            )

    def _check_body_type(self, request: web.Request, route: Route) -> None:
        if not request.can_read_body or route.body is None:
            return
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding != "identity":  # a few bytes may inflate to any number of them
            raise _UnsupportedMediaType(
                f"a body in the encoding {encoding} is refused", remedy="Send it as it is."
            )
        if ANY_TYPE in route.accepts:
            return
        if "Content-Type" not in request.headers or request.content_type not in route.accepts:
            raise _UnsupportedMediaType(
                f"this route takes {' or '.join(route.accepts or (JSON,))},"
                f" not {request.headers.get('Content-Type', 'a body without a type')}"
            )


class _UnsupportedMediaType(InvalidInput):
    """HTTP's own: no other door has media types."""

    code = "unsupported_media_type"


def log_refusal(request: web.Request, what: str, who: str = "-") -> None:
    """The log's line of a refusal; never the credential itself."""
    details: dict[str, Any] = {
        "remote": request.remote,
        "method": request.method,
        "path": request.path,
        "principal": who,
    }
    _log.warning("refused for its %s: %s", what, details)
