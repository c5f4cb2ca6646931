"""A history for the facade's tests: ended jobs and their events, kept in lists."""

from __future__ import annotations

from actors.core.history import EndedJob
from actors.core.history_port import EventsFound, JobPage, ListJobs, QueryResult, RunQuery
from actors.core.past_job import PastJob
from actors.errors import Unavailable
from actors.model.event import Event, matches

__all__ = ["MemoryPast"]


class MemoryPast:
    """Implements jobd.api.past.Past in memory; of the filters of a list it knows `before`."""

    def __init__(self) -> None:
        self.jobs: dict[str, EndedJob] = {}
        self.kept: list[Event] = []
        self.is_down = False

    async def find(self, job_id: str) -> PastJob | None:
        self._check()
        return PastJob(self.jobs[job_id]) if job_id in self.jobs else None

    async def list(self, query: ListJobs) -> JobPage:
        self._check()
        ids = sorted((i for i in self.jobs if not query.before or i < query.before), reverse=True)
        page = tuple(self.jobs[job_id] for job_id in ids[: query.limit])
        return JobPage(page, len(ids) > len(page))

    async def events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventsFound:
        self._check()
        wanted = [e for e in self.kept if (e.revision, e.k) > after and matches(e, types, subject)]
        oldest = min((e.revision for e in self.kept), default=1 << 62)
        return EventsFound(tuple(wanted[:limit]), oldest, len(wanted) > limit)

    async def delete(self, job_id: str) -> bool:
        self._check()
        return self.jobs.pop(job_id, None) is not None

    async def run(self, query: RunQuery) -> QueryResult:
        self._check()
        return QueryResult(["sql"], ["VARCHAR"], [[query.sql]], truncated=False)

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("the history is down")
