"""How this node reads what only another has: over the mesh, from that node's peer door.

Rules of this file:
1. A node that can't be reached is a NodeUnreachable that names it, within READ_S; the caller says
   what it knows without it. What only looks is asked once more when a link broke under it.
2. A node is asked for what it has itself. What it answers is never asked on.
3. Wake-ups are hints: one too many costs a look. A reader that lost its link looks once it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import msgspec

from actors import addresses
from actors.core.ports import EventPage, LogPage
from actors.core.view import View
from actors.errors import (
    ActorDied,
    ActorUnavailable,
    AskTimeout,
    Busy,
    DeadLetter,
    JobdError,
    NodeUnreachable,
)
from actors.model import keys
from actors.model.event import Event
from actors.peer_door import (
    ForgetPeerJob,
    PeerEvents,
    PeerLog,
    ReadPeerEvents,
    ReadPeerLog,
    WatchPeerLog,
)
from actors.runtime import LoopHost
from jobd.api.failure import error_of
from jobd.api.message import ApiReply, ApiRequest

__all__ = ["PeerReader"]

READ_S: Final = 5.0
_AGAIN_S: Final = 1.0  # until a lost link is looked at again
_RELINK_S: Final = 0.3  # the other link of two nodes that both dialled is there at once
_WAKE_CREDIT: Final = 2  # wake-ups that may be under way: further ones are one

_AWAY: Final = (ActorDied, ActorUnavailable, AskTimeout, Busy, DeadLetter)


class PeerReader:
    """Reads from other nodes. `alive` gives those that are heard, this one included."""

    def __init__(self, host: LoopHost, node: str, alive: Callable[[], Iterable[str]]) -> None:
        self._host = host
        self._node = node
        self._alive = alive

    def is_other(self, node: str | None) -> bool:
        """Whether this is the id of another node."""
        return node is not None and node != self._node

    def others(self) -> list[str]:
        """The other nodes that are heard."""
        return sorted(set(self._alive()) - {self._node})

    async def read_log(
        self, node: str, attempt: str, from_seq: int, limit: int, stream: int | None
    ) -> LogPage:
        """Return a page of an attempt's log at a node. Raises NotFound, NodeUnreachable."""
        asked = ReadPeerLog(attempt, from_seq, limit, stream)
        answer: PeerLog = await self._ask(node, asked, "its log")
        return answer.page

    async def read_events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventPage | None:
        """Return events above a place from a node that has them all, None when none is found."""
        for node in self.others():
            try:
                page = await self._events_at(node, after, limit, types, subject)
            except JobdError:
                continue
            if not page.gap:
                return page
        return None

    async def _events_at(
        self,
        node: str,
        after: tuple[int, int],
        limit: int,
        types: tuple[str, ...],
        subject: str | None,
    ) -> EventPage:
        events: list[Event] = []
        gap = False
        while len(events) < limit:
            asked = ReadPeerEvents(after, limit - len(events), types, subject)
            answer: PeerEvents = await self._ask(node, asked, "older events")
            events += answer.events
            gap = gap or answer.gap
            if not answer.more:
                break
            after = (events[-1].revision, events[-1].k)
        return EventPage(tuple(events), gap)

    async def _ask(self, node: str, message: msgspec.Struct, what: str) -> Any:
        address = f"jobd://{node}{addresses.PEER_DOOR}"
        try:
            try:
                return await self._host.ask(address, message, timeout_s=READ_S)
            except ActorUnavailable:
                await asyncio.sleep(_RELINK_S)
                return await self._host.ask(address, message, timeout_s=READ_S)
        except _AWAY as error:
            raise NodeUnreachable.at(node, what, str(error)) from error

    def forget(self, job_id: str) -> None:
        """Have the other nodes let a deleted job's files go; one that is away keeps them."""
        for node in self.others():
            self._host.tell(f"jobd://{node}{addresses.PEER_DOOR}", ForgetPeerJob(job_id))

    # -- operations of the API at another node

    async def perform(
        self,
        node: str,
        operation: str,
        params: dict[str, str],
        query: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> ApiReply:
        """Have another node answer an operation. Raises its refusal, NodeUnreachable."""
        request = ApiRequest(operation, params, query, {}, body)
        try:
            value = await self._host.ask(f"jobd://{node}{addresses.API}", request, timeout_s=READ_S)
        except _AWAY as error:
            raise NodeUnreachable.at(node, "it", str(error)) from error
        return _accepted(ApiReply.of(value))

    async def download(
        self, node: str, operation: str, params: dict[str, str], query: tuple[tuple[str, str], ...]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of a file that an operation of another node answers with.

        Raises its refusal, NodeUnreachable; the first item is asked for at once.
        """
        request = ApiRequest(operation, params, query)
        address, begun, again = f"jobd://{node}{addresses.API}", False, False
        while True:
            pieces = self._host.stream(address, request)
            try:
                async with aclosing(pieces):
                    async for piece in pieces:
                        begun = True
                        yield piece
                break
            except _AWAY as error:
                if begun or again or not isinstance(error, ActorUnavailable):
                    raise NodeUnreachable.at(node, "the file", str(error)) from error
                again = True
                await asyncio.sleep(_RELINK_S)
        _accepted(ApiReply.of(pieces.value))

    # -- the growth of logs

    @asynccontextmanager
    async def following(
        self, view: View, job_id: str, wake: Callable[[], None]
    ) -> AsyncIterator[Callable[[], None]]:
        """Call `wake` when the log of a job may have grown at another node.

        Gives a function that looks where the job runs now; call it when its records changed.
        """
        tasks: dict[str, asyncio.Task[None]] = {}

        def look() -> None:
            for _, entry in view.scan(keys.attempts_of(job_id)):
                node = entry.noun.node
                if node != self._node and node not in tasks:
                    tasks[node] = asyncio.ensure_future(self._follow(node, job_id, wake))

        try:
            yield look
        finally:
            for task in tasks.values():
                task.cancel()

    async def _follow(self, node: str, job_id: str, wake: Callable[[], None]) -> None:
        address = f"jobd://{node}{addresses.PEER_DOOR}"
        while True:
            wakes = self._host.stream(address, WatchPeerLog(job_id), credit_items=_WAKE_CREDIT)
            try:
                async with aclosing(wakes):
                    async for _ in wakes:
                        wake()
            except JobdError:
                wake()
            await asyncio.sleep(_AGAIN_S)


def _accepted(reply: ApiReply) -> ApiReply:
    if reply.status >= 400:
        raise error_of(reply.status, reply.body)
    return reply
