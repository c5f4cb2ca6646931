"""The joint between the doors and the history of a node."""

from __future__ import annotations

from typing import Protocol

from actors.core.history_port import EventsFound, JobPage, ListJobs, QueryResult, RunQuery
from actors.core.past_job import PastJob

__all__ = ["Past"]


class Past(Protocol):
    """What the history of a node is asked. All raise Unavailable while it can't be."""

    async def find(self, job_id: str) -> PastJob | None:
        """Return a job that has ended."""

    async def list(self, query: ListJobs) -> JobPage:
        """Return jobs that have ended, the newest first."""

    async def events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventsFound:
        """Return events above `after`, also such as the event log has dropped."""

    async def delete(self, job_id: str) -> bool:
        """Forget a job; return whether it was there."""

    async def run(self, query: RunQuery) -> QueryResult:
        """Run one SELECT. Raises InvalidInput, TooLarge."""
