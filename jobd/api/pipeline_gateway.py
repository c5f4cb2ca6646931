"""The joint between the facade and the node for pipelines and their runs.

`jobd/node/pipelines.py` implements it over the store. Changes raise what writes do: NoQuorum,
OutcomeUnknown, Busy, ReadOnly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from actors.core.pipeline_spec import ReadPipeline
from actors.core.view import Entry

if TYPE_CHECKING:
    from jobd.api.gateway import RequestKey, Written

__all__ = ["PipelineGateway"]


class PipelineGateway(Protocol):
    """What the facade asks of the node about pipelines, and has done with them."""

    def newest_runs(self, before: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (run id, entry) with ids below `before`, the newest first, within one turn."""

    async def put(
        self,
        read: ReadPipeline,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a pipeline; the same content changes nothing. Raises PreconditionFailed, TooLarge."""

    async def delete(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a pipeline; its runs go on. Raises NotFound, PreconditionFailed."""

    async def trigger(
        self, name: str, inputs: dict[str, Any], *, principal: str, request: RequestKey
    ) -> tuple[Written, str]:
        """Begin a run once; return its id. Raises NotFound, InvalidInput (the inputs)."""

    async def rerun(
        self, run_id: str, since: str, *, principal: str, request: RequestKey
    ) -> tuple[Written, str]:
        """Run an ended run again once; return the new id. Raises NotFound, Conflict."""

    async def stop(self, run_id: str, reason: str, *, if_match: int | None = None) -> int:
        """Ask for a run's end; asked again, `finally` ends too. Raises NotFound."""

    async def answer(
        self, run_id: str, step: str, *, approve: bool, comment: str, principal: str
    ) -> int:
        """Answer a gate. Raises NotFound, Conflict (it waits for no answer)."""

    async def wait(self, run_id: str, timeout_s: float) -> None:
        """Return once a run has ended, or at the timeout."""
