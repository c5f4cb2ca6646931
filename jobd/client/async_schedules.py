"""`client.schedules` of the asyncio client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from jobd.api.schedule_preview import PreviewedFire, UpcomingFire
from jobd.api.schedule_views import ScheduleDetail, ScheduleView
from jobd.api.schedules import Backfilled, Fired
from jobd.client import schedule_operations as operations
from jobd.client.flow import mint_key

if TYPE_CHECKING:
    from jobd.client.async_calls import AsyncCalls

__all__ = ["AsyncSchedules"]


class AsyncSchedules:
    """Schedules by name; a job spec with a trigger that recurs makes one."""

    def __init__(self, client: AsyncCalls) -> None:
        self._client = client

    async def upcoming(self, limit: int = 20) -> list[UpcomingFire]:
        """Return the next fires of all schedules."""
        return (await self._client.call(operations.list_upcoming(limit))).items

    async def get(self, name: str) -> ScheduleDetail:
        """Return a schedule, with why it waits and its last fires. Raises NotFound."""
        return await self._client.call(operations.get_schedule(name))

    async def put(self, spec: Mapping[str, Any], *, if_match: int | None = None) -> ScheduleDetail:
        """Put the schedule of a spec's name. Raises InvalidSpec, Conflict, PreconditionFailed."""
        return await self._client.call(operations.put_schedule(str(spec["name"]), spec, if_match))

    async def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a schedule; what it started goes on. Raises NotFound, PreconditionFailed."""
        return await self._client.call(operations.delete_schedule(name, if_match))

    async def pause(self, name: str) -> ScheduleDetail:
        """Have a schedule start nothing until it is resumed. Raises NotFound."""
        return await self._client.call(operations.pause_schedule(name))

    async def resume(self, name: str) -> ScheduleDetail:
        """Have a paused schedule go on from now. Raises NotFound."""
        return await self._client.call(operations.resume_schedule(name))

    async def fire(self, name: str, given: Any = None) -> Fired:
        """Start its job now, with this input or the spec's own. Raises NotFound, Conflict."""
        return await self._client.call(operations.fire_schedule(name, given, mint_key()))

    async def backfill(
        self, name: str, first: str, last: str, *, at_once: bool = False
    ) -> Backfilled:
        """Have it fire for its times of a range (RFC 3339). Raises NotFound, InvalidInput, Busy."""
        return await self._client.call(
            operations.backfill_schedule(name, first, last, at_once=at_once, key=mint_key())
        )

    async def preview(
        self, name: str, count: int = 10, *, after: str | None = None, around_dst: bool = False
    ) -> list[PreviewedFire]:
        """Return when it will fire, or what it does around the next clock changes."""
        asked = operations.preview_schedule(name, count, after, around_dst=around_dst)
        return (await self._client.call(asked)).items

    def list(self) -> AsyncGenerator[ScheduleView, None]:
        """Yield the schedules by name."""
        return self._client.pages(operations.list_schedules, None)
