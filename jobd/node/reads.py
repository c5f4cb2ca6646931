"""What a door reads beside the records: job logs, artifacts and events, of whichever node has them.

The records say where: an attempt names its node. This node's own come from its actors and files,
those of others over the mesh.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors import addresses
from actors.core.ports import ArtifactStore, EventPage, LogPage
from actors.core.store.state import State
from actors.errors import NodeUnreachable, NotFound
from actors.image_writer import ReadEvents
from actors.model import keys
from actors.run_log import ReadLog
from actors.runtime import LoopHost
from actors.wakeups import ANYTHING, Unwatch, Watch
from jobd.node.peer_reader import PeerReader

__all__ = ["Reads"]


class Reads:
    """Reads for the doors of one node."""

    def __init__(
        self, host: LoopHost, state: State, artifacts: ArtifactStore, peers: PeerReader
    ) -> None:
        self._host = host
        self._state = state
        self._artifacts = artifacts
        self._peers = peers

    async def log(
        self,
        job_id: str,
        task: int,
        attempt: int,
        from_seq: int,
        limit: int,
        stream: int | None,
        *,
        node: str | None = None,
    ) -> LogPage:
        """Return records from `from_seq` on, of an attempt that ran at `node`.

        Raises NodeUnreachable. An attempt of which nobody knows where it ran is looked for. A
        restored node has what ran under the id that it had before.
        """
        key = keys.attempt(job_id, task, attempt)
        places = [node, None] if node is not None else [None, *self._peers.others()]
        away: NodeUnreachable | None = None
        for place in places:
            try:
                if place is not None and self._peers.is_other(place):
                    return await self._peers.read_log(place, key, from_seq, limit, stream)
                message = ReadLog(key, from_seq, limit, stream)
                page: LogPage = await self._host.ask(addresses.RUN_LOG, message)
                return page
            except NotFound:
                continue
            except NodeUnreachable as error:
                away = error if node is not None else None
        if away is not None:
            raise away
        return LogPage([], from_seq, self._state.get(key) is None, [])

    @asynccontextmanager
    async def wakeups(self, job_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set when the job's log has grown or its records changed."""
        event = asyncio.Event()
        if job_id == ANYTHING or self._state.count("session") <= 1:
            async with self._watching(Watch(job_id, event.set)):
                yield event
            return
        async with self._peers.following(self._state, job_id, event.set) as look:

            def wake() -> None:
                look()  # it may run elsewhere now
                event.set()

            async with self._watching(Watch(job_id, wake)):
                yield event

    @asynccontextmanager
    async def _watching(self, watch: Watch) -> AsyncIterator[None]:
        self._host.tell(addresses.WAKEUPS, watch)
        try:
            yield
        finally:
            self._host.tell(addresses.WAKEUPS, Unwatch(watch.job_id, watch.wake))

    async def events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventPage:
        """Return events above `after`; what this node has dropped comes from one that has it."""
        page = await self._own_events(after, limit, types, subject)
        if not page.gap:
            return page
        older = await self._peers.read_events(after, limit, types, subject)
        if older is None:
            return page
        events = older.events
        if events and len(events) < limit:  # it may be behind this node
            last = events[-1]
            rest = await self._own_events(
                (last.revision, last.k), limit - len(events), types, subject
            )
            events = (*events, *rest.events)
        return EventPage(events, gap=False)

    async def _own_events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventPage:
        message = ReadEvents(after, limit, types, subject)
        page: EventPage = await self._host.ask(addresses.EVENT_BUS, message)
        return page

    async def artifact(
        self, job_id: str, task: int, name: str, *, node: str | None = None
    ) -> Path | AsyncGenerator[bytes, None]:
        """Return the file of a job's artifact, or the pieces of one that another node has.

        There is one, `output`, at the node of the attempt that made it. Raises NotFound,
        NodeUnreachable (also by the pieces).
        """
        if node in self._peers.others():
            params = {"id": job_id, "name": name}
            return self._peers.download(node, "get_artifact", params, (("task", str(task)),))
        path = self._artifacts.path(job_id, task) if name == "output" else None
        if path is not None:
            return path
        if node is not None and self._peers.is_other(node):
            raise NodeUnreachable.at(node, "its artifact")
        raise NotFound(f"job {job_id} has no artifact {name!r}")
