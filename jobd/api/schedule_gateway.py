"""The joint between the facade and the node for schedules.

`jobd/node/schedules.py` implements it. Changes raise what writes do: NoQuorum, OutcomeUnknown,
Busy, ReadOnly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from actors.model.spec import JobSpec

if TYPE_CHECKING:
    from jobd.api.gateway import RequestKey, Written

__all__ = ["ScheduleGateway"]


class ScheduleGateway(Protocol):
    """What the facade has the node do with schedules; it reads them from the view."""

    async def define(self, spec: JobSpec, *, principal: str, request: RequestKey) -> Written:
        """Make or change the schedule of a spec's name, once.

        Raises Conflict (the name is another owner's), InvalidSpec, IdempotencyMismatch, InFlight.
        """

    async def put(
        self, spec: JobSpec, *, principal: str, if_match: int | None, if_none_match: bool
    ) -> int:
        """Make or change the schedule of a spec's name. Raises as `define`, PreconditionFailed."""

    async def delete(self, name: str, *, if_match: int | None) -> int:
        """Delete a schedule and the spec of its jobs. Raises NotFound, PreconditionFailed."""

    async def pause(self, name: str, *, if_match: int | None) -> int:
        """Pause a schedule; one that is stays as it is. Raises NotFound, PreconditionFailed."""

    async def resume(self, name: str, *, if_match: int | None) -> int:
        """Resume a schedule; one that runs stays as it is. Raises NotFound, PreconditionFailed."""

    async def fire(self, name: str, given: Any, *, request: RequestKey) -> tuple[Written, str]:
        """Start what a schedule starts, once; return its id. Raises NotFound, Conflict."""

    async def backfill(
        self, name: str, from_ms: int, to_ms: int, *, at_once: bool, request: RequestKey
    ) -> tuple[Written, str]:
        """Have a schedule fire for a range, once; return the backfill's id.

        Raises NotFound, InvalidInput, Busy.
        """
