"""From aiohttp's request to a route and back: read the body, perform, write the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Final

import msgspec
from aiohttp import web

from actors import limits
from actors.errors import Busy, TooLarge, Unauthenticated
from jobd.api.audit import Origin
from jobd.api.call import Clock, File, Pieces, Reply, Stream
from jobd.api.gateway import Gateway
from jobd.api.principal import Principal
from jobd.api.problem import ProblemDetails
from jobd.api.route import JSON, Request, Route, encode_value, perform
from jobd.http.compression import COMPRESSED_FROM_BYTES, choose_coding, compress
from jobd.http.sse import EventStream

__all__ = ["REQUEST_ID", "dispatcher", "origin_of", "respond_problem"]

RETRY_AFTER_S: Final = 1
REQUEST_ID: Final = web.RequestKey("id", str)


def origin_of(request: web.Request) -> Origin:
    """Return where a request came from, for the audit trail."""
    return Origin("http", request.remote or "", request.get(REQUEST_ID, ""))


def dispatcher(
    route: Route, gateway: Gateway, clock: Clock, principal_of: Callable[[web.Request], Principal]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of a route."""

    async def dispatch(request: web.Request) -> web.StreamResponse:
        asked = Request(
            principal=principal_of(request),
            params=request.match_info,
            query=request.query.items(),
            headers=request.headers,
            body=await _read(request),
            origin=origin_of(request),
        )
        answer = await perform(route, gateway, clock, asked)
        if isinstance(answer, Reply):
            return await _respond(request, route, gateway, answer)
        if isinstance(answer, File):
            return _send_file(answer)
        if isinstance(answer, Pieces):
            return await _send_pieces(request, answer)
        return await _send_items(request, answer)

    return dispatch


def respond_problem(problem: ProblemDetails) -> web.Response:
    """Return the response that carries a problem."""
    response = web.Response(
        body=msgspec.json.encode(problem),
        status=problem.status,
        content_type="application/problem+json",
    )
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="jobd"'
    if problem.status in (429, 503) or problem.type.endswith(":in_flight"):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


async def _read(request: web.Request) -> bytes:
    if not request.can_read_body:
        return b""
    try:
        async with asyncio.timeout(limits.BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise Busy(f"the body took longer than {limits.BODY_TIMEOUT_S} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(
            f"the body is larger than {limits.BODY_BYTES} bytes (BODY_BYTES)",
            remedy="Put large inputs where the job can fetch them.",
        ) from None


async def _respond(
    request: web.Request, route: Route, gateway: Gateway, reply: Reply
) -> web.Response:
    # Before anything is awaited: a later revision would promise what the body does not show.
    revision = gateway.view.revision if reply.revision is None else reply.revision
    headers = {"X-JobD-Revision": str(revision), **reply.headers}
    body, suffix = encode_value(reply), ""
    if route.produces == JSON and body:
        headers["Vary"] = "Accept-Encoding"
        coding = choose_coding(request.headers.get("Accept-Encoding", ""))
        if coding and len(body) >= COMPRESSED_FROM_BYTES and not route.confidential:
            body, suffix = await compress(body, coding), f"-{coding}"
            headers["Content-Encoding"] = coding
    if reply.etag is not None:
        headers["ETag"] = f'"{reply.etag}{suffix}"'
    empty = reply.value is None
    response = web.Response(
        body=None if empty else body,
        status=reply.status or (204 if empty else route.status),
        headers=headers,
    )
    if not empty:
        response.content_type = route.produces
    return response


def _send_file(file: File) -> web.FileResponse:
    return web.FileResponse(file.path, headers=_file_headers(file))


async def _send_pieces(request: web.Request, file: Pieces) -> web.StreamResponse:
    """Send another node's file; what is wrong before its first piece is still a problem."""
    async with aclosing(file.pieces) as pieces:
        first = await anext(pieces, b"")
        response = web.StreamResponse(headers=_file_headers(file))
        response.content_length = file.size_bytes
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
    return response


def _file_headers(file: File | Pieces) -> dict[str, str]:
    headers = {"Content-Type": file.content_type}
    if file.name:
        headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return headers


async def _send_items(request: web.Request, answer: Stream) -> web.StreamResponse:
    stream = await EventStream.open(request)
    with suppress(Unauthenticated):  # the stream ends: who comes back is answered 401
        async with aclosing(answer.items) as batches:
            async for items in batches:
                await stream.send(items)
    return stream.response
