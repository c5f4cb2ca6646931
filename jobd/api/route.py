"""Routes as data: what a request looks like, who may send it, and the typed handler that answers.

The table of routes is all there is: dispatch at every door, authorization, the OpenAPI document and
the reference page are made from it. A route can't be built without a scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import msgspec

from actors.errors import InvalidInput, Unavailable
from jobd.api.call import Answer, Call, Clock, Reply
from jobd.api.gateway import Gateway
from jobd.api.principal import Principal, Scope
from jobd.api.query import NoQuery, ReadQuery, parse_query

__all__ = ["JSON", "SSE", "Handler", "Request", "Route", "encode_value", "perform"]

JSON: Final = "application/json"
SSE: Final = "text/event-stream"
CATCH_UP_S: Final = 10.0

Handler = Callable[[Call[Any, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is a struct, or bytes for a body that the handler reads itself.

    A route that `produces` SSE answers with a Stream of `returns`.
    """

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
    repeatable: bool = False  # a repeat under one Idempotency-Key replays the first answer
    confidential: bool = False  # its body or its answer holds a secret

    @property
    def operation(self) -> str:
        """The operation's id: the handler's name."""
        return getattr(self.handler, "__name__", "")

    @property
    def changes(self) -> bool:
        """Whether it writes; a POST that only looks takes the query of a read."""
        return self.method != "GET" and not issubclass(self.query, ReadQuery)


@dataclass(frozen=True, slots=True)
class Request:
    """What came through a door for a route, before it has its types."""

    principal: Principal
    params: Mapping[str, str]
    query: Iterable[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes


async def perform(route: Route, gateway: Gateway, clock: Clock, request: Request) -> Answer:
    """Bind an admitted request to the types of its route, and have the handler answer it."""
    query = parse_query(request.query, route.query)
    body = _bind(route, request.body)
    call = Call(
        gateway,
        clock,
        request.principal,
        request.params,
        request.headers,
        query,
        body,
        request.body,
    )
    if isinstance(query, ReadQuery):
        await _catch_up(gateway, query)
    key = call.idempotency_key if route.changes else None
    answer = await route.handler(call)
    if not isinstance(answer, Reply):
        return answer
    if key is not None:
        answer.headers.setdefault("Idempotency-Key", key)
    if not route.changes and answer.etag is not None and call.knows(answer.etag):
        return replace(answer, value=None, status=304)
    return answer


def encode_value(reply: Reply) -> bytes:
    """Return the body of a reply."""
    if reply.value is None:
        return b""
    return reply.value if isinstance(reply.value, bytes) else msgspec.json.encode(reply.value)


def _bind(route: Route, raw: bytes) -> Any:
    if route.body is bytes:
        return raw
    if route.body is None:
        if raw:
            raise InvalidInput("this route takes no body")
        return None
    try:
        return _decoder(route.body).decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidInput(f"the body is not what this route takes: {e}") from None


@cache
def _decoder(body: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body)


async def _catch_up(gateway: Gateway, query: ReadQuery) -> None:
    """Hold a read back until this node may answer it. Raises InvalidInput, Unavailable."""
    revision = query.min_revision
    if query.consistency == "session" and not revision:
        raise InvalidInput(
            "consistency=session needs min_revision",
            remedy="Give the X-JobD-Revision of the last answer that you saw.",
        )
    if query.consistency == "linearizable":
        await gateway.barrier()
    if revision <= gateway.view.revision:
        return
    if await gateway.wait_revision(revision - 1, CATCH_UP_S) < revision:
        raise Unavailable(f"this node has not applied revision {revision} yet")
