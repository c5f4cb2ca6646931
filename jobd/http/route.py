"""Routes as data: what a request looks like, who may send it, and the typed handler that answers.

The table of routes is all there is: dispatch, authorization, the OpenAPI document and the reference
page are made from it. A route can't be built without a scope.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from actors import limits
from actors.errors import Busy, InvalidInput, TooLarge, Unavailable
from jobd.http.gateway import Gateway
from jobd.http.principal import Principal, Scope
from jobd.http.query import NoQuery, ReadQuery, parse_query

__all__ = ["JSON", "Call", "Clock", "Handler", "Reply", "Route", "dispatcher"]

Clock = Callable[[], int]  # Unix milliseconds

JSON: Final = "application/json"
BODY_TIMEOUT_S: Final = 30.0
CATCH_UP_S: Final = 10.0
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}")
_ETAG: Final = re.compile(r'"?([0-9]{1,16})"?')

Q = TypeVar("Q")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """A request that passed the guard, with its parameters and its body in their types."""

    request: web.Request
    gateway: Gateway
    clock: Clock
    principal: Principal
    query: Q
    body: B

    def path(self, name: str) -> str:
        """Return a segment of the path."""
        return self.request.match_info[name]

    @property
    def if_match(self) -> int | None:
        """The revision that `If-Match` names, None without one. Raises InvalidInput."""
        text = self.request.headers.get("If-Match")
        if text is None:
            return None
        tag = _ETAG.fullmatch(text.strip())
        if tag is None:
            raise InvalidInput(
                f"If-Match must be one strong ETag, not {text!r}", remedy='Send If-Match: "42".'
            )
        return int(tag[1])

    @property
    def if_none_match(self) -> bool:
        """Whether `If-None-Match: *` asks that there be nothing yet. Raises InvalidInput."""
        text = self.request.headers.get("If-None-Match")
        if text not in (None, "*"):
            raise InvalidInput(f"If-None-Match must be * here, not {text!r}")
        return text == "*"

    @property
    def idempotency_key(self) -> str | None:
        """The client's own idempotency key, None without one. Raises InvalidInput."""
        text = self.request.headers.get("Idempotency-Key")
        if text is None or _IDEMPOTENCY_KEY.fullmatch(text):
            return text
        raise InvalidInput("Idempotency-Key must be 1 to 255 visible ASCII characters")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers. `revision` becomes X-JobD-Revision, `etag` the object's ETag."""

    value: Any = None
    status: int | None = None  # None: the route's own
    revision: int | None = None  # None: what is applied at this node
    etag: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Call[Any, Any]], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is a struct, or bytes for a body that the handler reads itself."""

    method: str
    path: str
    scope: Scope
    handler: Handler
    summary: str
    query: type[NoQuery] = NoQuery
    body: Any = None
    accepts: tuple[str, ...] = (JSON,)
    content: Callable[[], dict[str, Any]] | None = None  # JSON Schema of a body of bytes
    returns: Any = None
    status: int = 200
    produces: str = JSON
    repeatable: bool = False  # takes an Idempotency-Key

    @property
    def operation(self) -> str:
        """The operation's id: the handler's name."""
        return getattr(self.handler, "__name__", "")


def dispatcher(
    route: Route, gateway: Gateway, clock: Clock, principal_of: Callable[[web.Request], Principal]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of a route: bind, call, encode."""
    read_body = _body_reader(route)

    async def dispatch(request: web.Request) -> web.StreamResponse:
        query = parse_query(request.query, route.query)
        body = await read_body(request)
        if isinstance(query, ReadQuery):
            await _catch_up(gateway, query.min_revision)
        call = Call(request, gateway, clock, principal_of(request), query, body)
        reply = await route.handler(call)
        return reply if isinstance(reply, web.StreamResponse) else _encode(route, gateway, reply)

    return dispatch


def _body_reader(route: Route) -> Callable[[web.Request], Awaitable[Any]]:
    if route.body is None:

        async def nothing(request: web.Request) -> None:
            if request.can_read_body:
                raise InvalidInput("this route takes no body")

        return nothing
    if route.body is bytes:
        return _read
    decoder = msgspec.json.Decoder(route.body)

    async def decoded(request: web.Request) -> Any:
        raw = await _read(request)
        try:
            return decoder.decode(raw or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise InvalidInput(f"the body is not what this route takes: {e}") from None

    return decoded


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise Busy(f"the body took longer than {BODY_TIMEOUT_S:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(
            f"the body is larger than {limits.BODY_BYTES} bytes (BODY_BYTES)",
            remedy="Put large inputs where the job can fetch them.",
        ) from None


async def _catch_up(gateway: Gateway, revision: int) -> None:
    if revision <= gateway.view.revision:
        return
    if await gateway.wait_revision(revision - 1, CATCH_UP_S) < revision:
        raise Unavailable(f"this node has not applied revision {revision} yet")


def _encode(route: Route, gateway: Gateway, reply: Reply) -> web.Response:
    raw = isinstance(reply.value, bytes)
    empty = reply.value is None
    response = web.Response(
        body=None if empty else reply.value if raw else msgspec.json.encode(reply.value),
        status=reply.status or (204 if empty else route.status),
        headers=reply.headers,
    )
    if not empty:
        response.content_type = route.produces
    revision = gateway.view.revision if reply.revision is None else reply.revision
    response.headers["X-JobD-Revision"] = str(revision)
    if reply.etag is not None:
        response.headers["ETag"] = f'"{reply.etag}"'
    return response
