"""The asyncio client: the verbs of the blocking one, on any loop that has add_reader (uvloop)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Literal, overload

from actors.core.history_port import QueryResult
from actors.runtime.cell import ActorRow
from jobd.api.cluster_views import ClusterView
from jobd.api.events import Emitted, EventView
from jobd.api.gateway import NodeStatus, Until
from jobd.api.job_logs import LogLine
from jobd.api.job_plan import Plan
from jobd.api.job_views import ArtifactView, AttemptView, JobDetail, JobView
from jobd.api.jobs import Accepted, BatchItem
from jobd.api.node_views import ActorView, DrainMode, NodeView
from jobd.client import job_operations as jobs
from jobd.client import node_operations as nodes
from jobd.client.artifact import Destination, Writer
from jobd.client.async_calls import AsyncCalls
from jobd.client.async_hook_sections import AsyncHooks, AsyncTriggers
from jobd.client.async_pipeline_sections import AsyncPipelines, AsyncRuns
from jobd.client.async_schedules import AsyncSchedules
from jobd.client.async_sections import AsyncKeyValues, AsyncMembers, AsyncSecrets, AsyncTokens
from jobd.client.flow import mint_key, submit_and_wait, wait_flow
from jobd.client.follow import Gap, follow_events, follow_logs
from jobd.client.job_operations import JobLike, Spec
from jobd.client.retry import TIMEOUT_S

__all__ = ["AsyncClient"]


class AsyncClient(AsyncCalls):
    """As `Client`, with awaits; all calls share one connection. Make it on the loop.

    Use it as an async context manager, or `await close()`. What yields begins with its first item,
    and is to be closed when it is not read to its end:
    `async with contextlib.aclosing(client.events()) as events`.
    """

    def __init__(
        self,
        address: str | Iterable[str] | None = None,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(address, token=token, timeout_s=timeout_s)
        self.kv = AsyncKeyValues(self)
        self.secrets = AsyncSecrets(self)
        self.pipelines = AsyncPipelines(self)
        self.runs = AsyncRuns(self)
        self.hooks = AsyncHooks(self)
        self.triggers = AsyncTriggers(self)
        self.tokens = AsyncTokens(self)
        self.members = AsyncMembers(self)
        self.schedules = AsyncSchedules(self)

    # -- jobs

    @overload
    async def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: Literal[False] = False
    ) -> Accepted: ...

    @overload
    async def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: Literal[True]
    ) -> JobDetail: ...

    async def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: bool = False
    ) -> Accepted | JobDetail:
        """Submit a job: a dict, YAML or JSON text, or a path to it. With `wait`, to its end.

        It is durable when this returns, and there once: the key, by default one of its own, is the
        same however often the request has to be sent. Raises InvalidSpec with every problem.
        """
        key = idempotency_key or mint_key()
        if wait:
            return await self.run(submit_and_wait(spec, key, None))
        return await self.call(jobs.submit_job(spec, key))

    async def submit_many(
        self, specs: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[BatchItem]:
        """Submit up to 500 jobs at once; each item has an id, or the problem that it met."""
        return (await self.call(jobs.submit_batch(specs, idempotency_key or mint_key()))).items

    async def plan(self, spec: Spec) -> Plan:
        """Say what would become of a job with this spec, without one."""
        return await self.call(jobs.plan_job(spec))

    async def get_job(self, job: JobLike) -> JobDetail:
        """Return a job."""
        return await self.call(jobs.get_job(job))

    def list_jobs(
        self, *, limit: int | None = None, **filters: Any
    ) -> AsyncGenerator[JobView, None]:
        """Yield jobs, the newest first, page by page.

        `filters` are those of the API: state, type, label, name, q, id_prefix; a list of values
        means any of them.
        """
        return self.pages(partial(jobs.list_jobs, filters), limit)

    async def wait(
        self, job: JobLike, *, until: Until = "terminal", timeout_s: float | None = None
    ) -> JobDetail:
        """Wait until a job has ended, or `running`. Raises AskTimeout when the time is over."""
        return await self.run(wait_flow(job, until, timeout_s))

    async def cancel(self, job: JobLike, reason: str = "") -> JobDetail:
        """Cancel a job, or ask what runs of it to end."""
        return await self.call(jobs.cancel_job(job, reason))

    async def retry(self, job: JobLike, *, idempotency_key: str | None = None) -> Accepted:
        """Submit the spec of a job that has ended as a new job."""
        return await self.call(jobs.retry_job(job, idempotency_key or mint_key()))

    async def delete(self, job: JobLike) -> None:
        """Delete a job that has ended, with its log and its output."""
        return await self.call(jobs.delete_job(job))

    async def explain(self, job: JobLike) -> dict[str, Any]:
        """Say why a job is where it is, and what it waits for."""
        return await self.call(jobs.explain_job(job))

    def attempts(self, job: JobLike) -> AsyncGenerator[AttemptView, None]:
        """Yield the attempts of a job's tasks."""
        return self.pages(partial(jobs.list_attempts, job), None)

    def logs(
        self,
        job: JobLike,
        *,
        follow: bool = False,
        attempt: int = 0,
        task: int | None = None,
        since: str | None = None,
        stream: Literal["stdout", "stderr", "jobd"] | None = None,
    ) -> AsyncGenerator[LogLine | Gap, None]:
        """Yield a job's log: what there is, or with `follow` until the job is over.

        From the last attempt on, or from `attempt` on; a `Gap` says what is lost. Following goes on
        behind the last line when the link breaks or the node restarts.
        """
        query = {"attempt": attempt, "task": task, "since": since, "stream": stream}
        if follow:
            return self.follow(follow_logs(jobs.stream_logs(job, query)))
        query = {**query, "task": task or 0, "attempt": attempt or None}
        return self._written(job, query)

    async def output(self, job: JobLike, *, task: int = 0) -> Any:
        """Return what a job gave as its output, from JSON. Raises NotFound."""
        writer = Writer.to_memory()
        await self.fetch(jobs.get_output(job, task), writer)
        return writer.json()

    async def artifacts(self, job: JobLike) -> list[ArtifactView]:
        """Return the outputs of a job that were too large to be kept inline."""
        return (await self.call(jobs.list_artifacts(job))).items

    async def download(
        self, job: JobLike, to: Destination, *, name: str = "output", task: int = 0
    ) -> int:
        """Write an artifact to a path or a binary file and return its size in bytes.

        A path is there once it is complete. Raises Corrupt when the bytes are not the artifact's.
        """
        writer = Writer.to(to, await self.artifacts(job), name, task)
        try:
            await self.fetch(jobs.get_artifact(job, name, task), writer)
            return writer.finish()
        finally:
            writer.close()

    # -- events

    def events(
        self,
        *types: str,
        after: str | None = None,
        subject: str | None = None,
        where: Mapping[str, Any] | None = None,
        follow: bool = True,
    ) -> AsyncGenerator[EventView | Gap, None]:
        """Yield events of these types (globs; none: all) as they happen, or those behind `after`.

        `where` says what must be at paths of the data: `{"order.country": "de"}`.
        Nothing is left out when the link breaks; what is no longer kept is told by a `Gap`. Without
        `follow` it ends with the last event there is.
        """
        filters = nodes.event_filters(where or {})
        query = {"types": list(types), "subject": subject, "filter": filters}
        if not follow:
            return self._kept(query, after)
        return self._happening(query, after)

    async def emit(
        self,
        type_: str,
        data: Mapping[str, Any] | None = None,
        *,
        subject: str = "",
        idempotency_key: str | None = None,
    ) -> Emitted:
        """Emit a custom event, once."""
        key = idempotency_key or mint_key()
        return await self.call(nodes.emit_event(type_, subject, data or {}, key))

    # -- the cluster

    async def status(self) -> NodeStatus:
        """Return what the node says of itself."""
        return await self.call(nodes.get_status())

    async def cluster(self) -> ClusterView:
        """Return who makes up the cluster, and how its consensus does."""
        return await self.call(nodes.get_cluster())

    async def list_nodes(self) -> list[NodeView]:
        """Return the nodes, also those that are lost or left."""
        return (await self.call(nodes.list_nodes())).items

    async def get_node(self, node: str) -> NodeView:
        """Return one node."""
        return await self.call(nodes.get_node(node))

    async def cordon(self, node: str) -> NodeView:
        """Have a node take no new work; what runs there goes on. Raises NotFound."""
        return await self.call(nodes.cordon_node(node, cordoned=True))

    async def uncordon(self, node: str) -> NodeView:
        """Have a node take work again; a drain that is under way ends. Raises NotFound."""
        return await self.call(nodes.cordon_node(node, cordoned=False))

    async def drain(
        self, node: str, mode: DrainMode = "finish", *, deadline: str | None = None
    ) -> NodeView:
        """Cordon a node and empty it: let what runs finish, or requeue it. Raises NotFound."""
        return await self.call(nodes.drain_node(node, mode, deadline))

    def list_actors(
        self, prefix: str = "", *, node: str | None = None
    ) -> AsyncGenerator[ActorView, None]:
        """Yield the live actors of the node that answers, or of `node`."""
        return self.pages(partial(nodes.list_actors, prefix, node), None)

    async def query(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        timeout_s: float = 10.0,
        max_rows: int = 1_000,
    ) -> QueryResult:
        """Run one SELECT over the history; `parameters` are values for its `$1` or `$name`."""
        return await self.call(nodes.run_query(sql, parameters, timeout_s, max_rows))

    async def inspect(self, address: str) -> ActorRow:
        """Return what an actor of the node (`/scheduler`) says of itself, from its own turn."""
        return await self.call(nodes.inspect_actor(address))

    async def ping(self, address: str) -> int:
        """Return an actor's incarnation, from its own turn: a wedged one does not answer."""
        return await self.call(nodes.ping_actor(address))

    # -- streams that begin, and pages that end, with a question of their own

    async def _happening(
        self, query: dict[str, Any], after: str | None
    ) -> AsyncGenerator[EventView | Gap, None]:
        revision = 0 if after else (await self.status()).revision
        stream = follow_events(nodes.stream_events(query), after, revision)
        items = self.follow(stream)
        async with aclosing(items):
            async for item in items:
                yield item

    async def _written(
        self, job: JobLike, query: dict[str, Any]
    ) -> AsyncGenerator[LogLine | Gap, None]:
        begin = 0
        while True:
            page = await self.call(jobs.read_logs(job, {**query, "from": begin, "limit": 500}))
            for low, high in page.gaps:
                yield Gap({"from": low, "to": high})
            for line in page.items:
                yield line
            if page.next_from == begin:
                return
            begin = page.next_from

    async def _kept(
        self, query: dict[str, Any], after: str | None
    ) -> AsyncGenerator[EventView | Gap, None]:
        while True:
            page = await self.call(nodes.list_events({**query, "after": after, "limit": 500}))
            if page.gap:
                yield Gap({"after": after})
            for event in page.items:
                yield event
            after = page.next_cursor
            if after is None:
                return
