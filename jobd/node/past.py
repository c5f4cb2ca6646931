"""What the doors ask the history of this node."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final, cast

from actors import addresses
from actors.core.history import EndedTask
from actors.core.history_port import (
    DeleteJob,
    EventsFound,
    FindJob,
    FoundJob,
    JobPage,
    ListEvents,
    ListJobs,
    QueryResult,
    RunQuery,
)
from actors.core.past_job import PastJob
from actors.errors import ActorDied, AskTimeout, DeadLetter, InvalidInput, JobdError, Unavailable
from actors.history import CatchUp
from actors.history_store import QUERIES, READER, WRITER
from actors.run_log import Forget
from actors.runtime import LoopHost
from jobd.node.history_process import HistoryProcess
from jobd.node.peer_reader import PeerReader

__all__ = ["NodePast"]

_log: Final = logging.getLogger(__name__)
_NEVER: Final = 1 << 62  # above every revision
_LOOK_S: Final = 10.0
_DELETE_S: Final = 30.0
_CATCH_UP_S: Final = 2.0  # a batch takes milliseconds; the first start of its process more
_SLACK_S: Final = 5.0  # a query ends by itself at its timeout


class NodePast:
    """Implements jobd.api.past.Past. Where there is no history yet, nothing is found in it."""

    def __init__(self, host: LoopHost, process: HistoryProcess, peers: PeerReader) -> None:
        self._host = host
        self._process = process
        self._peers = peers
        self._forgetting: set[asyncio.Task[None]] = set()

    async def find(self, job_id: str) -> PastJob | None:
        """Return a job that has ended, with all its tasks."""
        tasks: list[EndedTask] = []
        while True:
            first = tasks[-1].index + 1 if tasks else 0
            found: FoundJob | None = await self._ask(READER, FindJob(job_id, first), None)
            if found is None:
                return None
            tasks += found.tasks
            if not found.more:
                return PastJob(found.job, tasks)

    async def list(self, query: ListJobs) -> JobPage:
        """Return jobs that have ended, the newest first."""
        page: JobPage = await self._ask(READER, query, JobPage((), False))
        return page

    async def events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventsFound:
        """Return events above `after`, also such as the event log has dropped."""
        query = ListEvents(after, limit, types, subject)
        found: EventsFound = await self._ask(READER, query, EventsFound((), _NEVER))
        return found

    async def delete(self, job_id: str) -> bool:
        """Forget a job with its log and artifacts, at every node that is heard.

        Return whether it was in this one's history. A node that is away keeps what it has for as
        long as it keeps the rest of that age.
        """
        self._peers.forget(job_id)
        return await self._delete_here(job_id)

    async def _delete_here(self, job_id: str) -> bool:
        self._host.tell(addresses.RUN_LOG, Forget(job_id))
        there: bool = await self._ask(WRITER, DeleteJob(job_id), False, timeout_s=_DELETE_S)
        return there

    def forget(self, job_id: str) -> None:
        """Forget a job that was deleted at another node, in a while."""
        self._forgetting.add(asyncio.ensure_future(self._forgotten(job_id)))

    async def _forgotten(self, job_id: str) -> None:
        try:
            await self._delete_here(job_id)
        except JobdError as error:
            _log.warning("the history keeps the deleted job %s: %s", job_id, error)
        finally:
            self._forgetting.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def run(self, query: RunQuery) -> QueryResult:
        """Run one SELECT over all that has ended by now; the first one starts the history."""
        with suppress(JobdError):  # what it has must do
            await self._host.ask(addresses.HISTORY, CatchUp(), timeout_s=_CATCH_UP_S)
        timeout_s = query.timeout_s + _SLACK_S
        try:
            result: QueryResult = await self._process.ask(QUERIES, query, timeout_s=timeout_s)
        except TypeError as error:  # a parameter of any kind that JSON has
            raise InvalidInput(f"a parameter can't be used: {error}") from None
        return result

    async def _ask(
        self, address: str, message: Any, nothing: Any, *, timeout_s: float = _LOOK_S
    ) -> Any:
        if not self._process.exists:
            return nothing
        try:
            return await self._process.ask(address, message, timeout_s=timeout_s)
        except (ActorDied, AskTimeout, DeadLetter) as error:
            raise Unavailable(f"the history does not answer: {error}") from error
