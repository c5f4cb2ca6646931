"""`client.pipelines` and `client.runs` of the asyncio client."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.errors import AskTimeout
from actors.model.run import RUN_TERMINAL
from jobd.api.pipelines import PipelinePut, PipelineRead, RunBegun
from jobd.api.run_views import PipelineDetail, PipelineView, RunDetail, RunView
from jobd.client import pipeline_operations as ops
from jobd.client.flow import mint_key
from jobd.client.job_operations import JobLike, Spec, id_of

if TYPE_CHECKING:
    from jobd.client.async_calls import AsyncCalls

__all__ = ["AsyncPipelines", "AsyncRuns"]

_WAIT_S = 30.0


class AsyncPipelines:
    """Graphs of jobs by name."""

    def __init__(self, client: AsyncCalls) -> None:
        self._client = client

    async def put(self, name: str, spec: Spec, *, if_match: int | None = None) -> PipelinePut:
        """Put a pipeline from a mapping, YAML text or a path. Raises InvalidSpec."""
        return await self._client.call(ops.put_pipeline(name, spec, if_match))

    async def validate(self, spec: Spec) -> PipelineRead:
        """Say what a pipeline means, and whether it is what is stored. Raises InvalidSpec."""
        return await self._client.call(ops.validate_pipeline(spec))

    async def get(self, name: str) -> PipelineDetail:
        """Return a pipeline with its spec. Raises NotFound."""
        return await self._client.call(ops.get_pipeline(name))

    def list(self) -> AsyncGenerator[PipelineView, None]:
        """Yield the pipelines by name."""
        return self._client.pages(ops.list_pipelines, None)

    async def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a pipeline; its runs go on. Raises NotFound, PreconditionFailed."""
        return await self._client.call(ops.delete_pipeline(name, if_match))

    async def trigger(
        self,
        name: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> RunBegun:
        """Begin a run. Raises NotFound, InvalidInput."""
        key = idempotency_key or mint_key()
        return await self._client.call(ops.trigger_pipeline(name, inputs or {}, key))


class AsyncRuns:
    """Runs of pipelines. A run is its id, or what `trigger` and `rerun` return."""

    def __init__(self, client: AsyncCalls) -> None:
        self._client = client

    async def get(self, run: JobLike | RunBegun) -> RunDetail:
        """Return a run with its steps. Raises NotFound."""
        return await self._client.call(ops.get_run(_id(run)))

    def list(
        self, *, pipeline: str | None = None, state: Sequence[str] = ()
    ) -> AsyncGenerator[RunView, None]:
        """Yield runs, the newest first."""
        query = {"pipeline": pipeline, "state": list(state)}
        return self._client.pages(partial(ops.list_runs, query), None)

    async def wait(self, run: JobLike | RunBegun, *, timeout_s: float | None = None) -> RunDetail:
        """Wait until a run has ended. Raises AskTimeout when the time is over."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = _WAIT_S if deadline is None else min(_WAIT_S, deadline - time.monotonic())
            found = await self._client.call(ops.get_run(_id(run), max(0.0, left)))
            if found.state in RUN_TERMINAL:
                return found
            if deadline is not None and time.monotonic() >= deadline:
                raise AskTimeout(f"run {found.id} is still {found.state}")

    async def cancel(self, run: JobLike | RunBegun, reason: str = "") -> RunDetail:
        """Ask for a run's end; a second time asks for that of `finally` too."""
        return await self._client.call(ops.cancel_run(_id(run), reason))

    async def rerun(
        self,
        run: JobLike | RunBegun,
        since: str = "failed",
        *,
        idempotency_key: str | None = None,
    ) -> RunBegun:
        """Run an ended run again, from failed, start or a step. Raises NotFound, Conflict."""
        key = idempotency_key or mint_key()
        return await self._client.call(ops.rerun(_id(run), since, key))

    async def answer(
        self, run: JobLike | RunBegun, step: str, *, approve: bool, comment: str = ""
    ) -> RunDetail:
        """Approve or reject a gate. Raises NotFound, Conflict."""
        return await self._client.call(ops.answer_gate(_id(run), step, approve, comment))

    async def graph_svg(self, run: JobLike | RunBegun) -> bytes:
        """Draw a run as an SVG picture."""
        return await self._client.call(ops.draw_run(_id(run)))


def _id(run: JobLike | RunBegun) -> str:
    return run.run_id if isinstance(run, RunBegun) else id_of(run)
