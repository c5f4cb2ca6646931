"""The actor behind which the API is served over the wire: the same routes as HTTP.

1. Who may is decided by the link's principal and the scope of the operation's route. A token that
   was revoked or has expired is refused from that moment on, though its link is still there.
2. Each request is a task of its own, so one that waits delays no other; beyond DOOR_REQUESTS under
   way, further ones are refused with Busy.
3. A stream is pulled at its reader's pace (credit), and closed as soon as nobody reads it.
4. A refusal is an answer (`ApiReply` with a problem), never a crash of this actor.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.audit import AuditDraft
from actors.errors import (
    ActorUnavailable,
    Busy,
    Forbidden,
    InvalidInput,
    JobdError,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from actors.runtime import Context, Effects, Fail, LoopActor, handles
from actors.runtime.address import node_of
from actors.runtime.effects import ReplyTo
from actors.runtime.outlet import Outlet
from actors.runtime.signals import StreamClosed
from jobd.api.audit import SUBJECT_CHARS, Origin
from jobd.api.call import Clock, File, Item, Pieces, Reply, Stream
from jobd.api.gateway import Gateway
from jobd.api.message import ApiItem, ApiReply, ApiRequest
from jobd.api.principal import LOCAL, Principal, is_valid
from jobd.api.problem import problem_of
from jobd.api.route import Request, Route, encode_value, perform
from jobd.api.table import operations

__all__ = ["ApiDoor"]

_log: Final = logging.getLogger(__name__)
_PARAMETER: Final = re.compile(r"{(\w+)")
_PIECE_BYTES: Final = 256 * 1024  # of a file, and of the items of a stream that go together


class ApiDoor(LoopActor):
    """One per node."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        super().__init__()
        self._gateway = gateway
        self._now_ms = clock
        self._routes = operations()
        self._tasks: dict[asyncio.Task[None], ReplyTo] = {}

    @handles(ApiRequest)
    def request(self, message: ApiRequest, context: Context) -> Effects:
        """Have a task answer."""
        reply = context.reply
        if reply is None:
            return None
        if len(self._tasks) >= limits.DOOR_REQUESTS:
            busy = f"{limits.DOOR_REQUESTS} requests are under way (DOOR_REQUESTS)"
            return [Fail(reply, Busy(busy))]
        task = asyncio.ensure_future(
            self._serve(message, _caller(context), _origin(context), reply)
        )
        self._tasks[task] = reply
        task.add_done_callback(self._tasks.pop)
        return None

    @handles(StreamClosed)
    def closed(self, message: StreamClosed, context: Context) -> Effects:
        """Produce no more for a reader that is gone."""
        for task, reply in self._tasks.items():
            if reply is message.to:
                task.cancel()
        return None

    def on_stop(self) -> None:
        """Leave nothing behind that would outlive the node's other actors."""
        for task, reply in list(self._tasks.items()):
            reply.fail(ActorUnavailable("the node stops", maybe_executed=True))
            task.cancel()

    async def _serve(
        self, message: ApiRequest, caller: Principal, origin: Origin, reply: ReplyTo
    ) -> None:
        try:
            route = self._admit(message, caller, origin)
            request = Request(
                caller,
                message.params,
                message.query,
                message.headers,
                message.body,
                origin,
            )
            answer = await perform(route, self._gateway, self._now_ms, request)
            if isinstance(answer, Reply):
                reply.set(self._reply(route, answer))
            elif not isinstance(reply, Outlet):
                raise InvalidInput(f"{message.operation} answers with a stream: ask for one")
            elif isinstance(answer, File):
                await _send_file(reply, answer)
                reply.set(self._end(answer.content_type))
            elif isinstance(answer, Pieces):
                await _send_pieces(reply, answer)
                reply.set(self._end(answer.content_type))
            else:
                await _send_items(reply, answer)
                reply.set(self._end(route.produces))
        except JobdError as error:
            reply.set(_problem(error))
        except Exception:
            _log.exception("the operation %s failed", message.operation)
            reply.set(_problem(JobdError(f"{message.operation} failed; the node's log says why")))

    def _admit(self, message: ApiRequest, caller: Principal, origin: Origin) -> Route:
        """Return the route of a request from a caller who may use it."""
        if not is_valid(self._gateway.view, caller, self._now_ms()):
            self._deny(message, caller, origin, "credential")
            raise Unauthenticated(
                f"the token {caller.token_id} is not valid any more", remedy="Use another one."
            )
        route = self._routes.get(message.operation)
        if route is None:
            raise NotFound(
                f"no operation {message.operation[:64]!r}",
                remedy="openapi.json lists what there is.",
            )
        if not caller.may(route.scope):
            self._deny(message, caller, origin, f"scope {route.scope}")
            _log.warning(
                "refused for its scope %s: %s",
                route.scope,
                {"operation": route.operation, "principal": caller.token_id},
            )
            raise Forbidden(f"the token {caller.token_id} lacks the scope {route.scope}")
        if len(message.body) > limits.BODY_BYTES:
            raise TooLarge(f"the body is larger than {limits.BODY_BYTES} bytes (BODY_BYTES)")
        for name in _PARAMETER.findall(route.path):
            if not message.params.get(name):
                raise InvalidInput(f"{route.operation} needs the parameter {name!r}")
        return route

    def _deny(self, message: ApiRequest, caller: Principal, origin: Origin, outcome: str) -> None:
        """Tell the audit trail of a refusal."""
        self._gateway.audit.deny(
            AuditDraft(
                time_ms=self._now_ms(),
                operation=message.operation[:SUBJECT_CHARS],
                decision="denied",
                outcome=outcome,
                actor=caller.token_id,
                door=origin.door,
                remote=origin.remote,
            )
        )

    def _reply(self, route: Route, reply: Reply) -> ApiReply:
        headers = self._place(reply.revision) | reply.headers
        if reply.etag is not None:
            headers["ETag"] = f'"{reply.etag}"'
        if reply.value is not None:
            headers["Content-Type"] = route.produces
        status = reply.status or (204 if reply.value is None else route.status)
        return ApiReply(status, headers, encode_value(reply))

    def _end(self, content_type: str) -> ApiReply:
        return ApiReply(200, self._place(None) | {"Content-Type": content_type}, b"")

    def _place(self, revision: int | None) -> dict[str, str]:
        """Say what revision an answer shows, and how old that may be where the node is cut off."""
        shown = self._gateway.view.revision if revision is None else revision
        stale_ms = self._gateway.cluster.stale_ms
        stale = {"X-JobD-Stale": str(stale_ms)} if stale_ms else {}
        return {"X-JobD-Revision": str(shown)} | stale


def _caller(context: Context) -> Principal:
    """Return who asks, in the API's terms; who is in this process may do anything."""
    principal = context.principal
    return LOCAL if principal is None else Principal(principal.name, tuple(principal.scopes))


def _origin(context: Context) -> Origin:
    """Return where a request came from: the process that a link belongs to."""
    return Origin("wire", node_of(context.sender or ""))


def _problem(error: JobdError) -> ApiReply:
    problem = problem_of(error)
    headers = {"Content-Type": "application/problem+json"}
    return ApiReply(problem.status, headers, msgspec.json.encode(problem))


async def _send_file(outlet: Outlet, file: File) -> None:
    """Send a file's bytes, read off the loop."""
    position = 0
    while await outlet.room():
        piece = await asyncio.to_thread(_read, file.path, position)
        if not piece:
            return
        outlet.item(piece)
        position += len(piece)


def _read(path: Path, position: int) -> bytes:
    with path.open("rb") as file:
        file.seek(position)
        return file.read(_PIECE_BYTES)


async def _send_pieces(outlet: Outlet, file: Pieces) -> None:
    """Pass another node's file on, at the reader's pace."""
    async with aclosing(file.pieces) as pieces:
        async for piece in pieces:
            if not await outlet.room():
                return
            outlet.item(piece)


async def _send_items(outlet: Outlet, answer: Stream) -> None:
    """Send a stream's items while somebody reads; the link's own pings show that it lives."""
    async with aclosing(answer.items) as batches:
        async for items in batches:
            for parcel in _parcels(items):
                if not await outlet.room():
                    return
                outlet.item(parcel)


def _parcels(items: list[Item]) -> list[list[ApiItem]]:
    """Divide items into lists of bounded size: a page of log lines may be over an envelope's."""
    parcels: list[list[ApiItem]] = []
    room = 0
    for item in items:
        data: Any = msgspec.json.encode(item.data)
        if room <= 0:
            parcels.append([])
            room = _PIECE_BYTES
        parcels[-1].append(ApiItem(item.event, item.id, data))
        room -= len(data)
    return parcels
