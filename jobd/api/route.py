"""Routes as data: what a request looks like, who may send it, and the typed handler that answers.

The table of routes is all there is: dispatch at every door, authorization, the OpenAPI document and
the reference page are made from it. A route can't be built without a scope.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import msgspec

from actors.core.audit import AuditDraft
from actors.errors import InvalidInput, Unauthenticated, Unavailable
from jobd.api.audit import Origin, recorded
from jobd.api.call import Answer, Call, Clock, Items, Reply, Stream
from jobd.api.gateway import Gateway
from jobd.api.principal import Principal, Scope, is_valid
from jobd.api.query import NoQuery, ReadQuery, parse_query

__all__ = ["ANY_TYPE", "JSON", "SSE", "Handler", "Request", "Route", "encode_value", "perform"]

JSON: Final = "application/json"
SSE: Final = "text/event-stream"
ANY_TYPE: Final = "*/*"  # of a body that its handler judges
CATCH_UP_S: Final = 10.0
_PARAMETER: Final = re.compile(r"{(\w+)(?::[^}]*)?}")

Handler = Callable[[Call[Any, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is a struct, or bytes for a body that the handler reads itself.

    A route that `produces` SSE answers with a Stream of `returns`. `errors` are the codes that
    don't follow from the rest: what a credential, a path, a body or a write may fail with does.
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
    example: Any = None  # of a body
    returns: Any = None
    status: int = 200
    produces: str = JSON
    repeatable: bool = False  # a repeat under one Idempotency-Key replays the first answer
    confidential: bool = False  # its body or its answer holds a secret
    etag: bool = False  # its answer names the object's revision
    conditional: bool = False  # takes If-Match
    headers: tuple[str, ...] = ()  # of its answer, beside those of every answer
    errors: tuple[str, ...] = ()
    others: tuple[int, ...] = ()  # further statuses with the same body

    @property
    def operation(self) -> str:
        """The operation's id: the handler's name."""
        return getattr(self.handler, "__name__", "")

    @property
    def about(self) -> str:
        """What the handler says of itself."""
        return inspect.getdoc(self.handler) or ""

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
    origin: Origin


async def perform(route: Route, gateway: Gateway, clock: Clock, request: Request) -> Answer:
    """Have the handler of an admitted request answer it; a change is recorded with its outcome."""
    if not route.changes:
        answer = await _perform(route, gateway, clock, request)
        if isinstance(answer, Stream):
            return Stream(_while_valid(answer.items, gateway, clock, request.principal))
        return answer
    with recorded(gateway.audit, audit_draft(route, request, clock())):
        return await _perform(route, gateway, clock, request)


async def _while_valid(items: Items, gateway: Gateway, clock: Clock, principal: Principal) -> Items:
    """Give a stream's items as long as its listener's token is one. Raises Unauthenticated."""
    async with aclosing(items) as batches:
        async for batch in batches:
            if not is_valid(gateway.view, principal, clock()):
                raise Unauthenticated(f"the token {principal.token_id} is not valid any more")
            yield batch


def audit_draft(route: Route, request: Request, now_ms: int) -> AuditDraft:
    """Return what the audit trail says of a request; what is confidential has no digest there."""
    told = bool(request.body) and not route.confidential
    return AuditDraft(
        time_ms=now_ms,
        operation=route.operation,
        decision="allowed",
        actor=request.principal.token_id,
        subject=_PARAMETER.sub(lambda match: request.params.get(match[1], ""), route.path),
        door=request.origin.door,
        remote=request.origin.remote,
        request=request.origin.request,
        args=hashlib.sha256(request.body).hexdigest() if told else "",
    )


async def _perform(route: Route, gateway: Gateway, clock: Clock, request: Request) -> Answer:
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
    revision = query.min_revision or 0
    if query.consistency == "session" and query.min_revision is None:
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
