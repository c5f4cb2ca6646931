"""The blocking client: the API in the caller's own thread, over ZeroMQ."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
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
from jobd.client.calls import Calls
from jobd.client.flow import mint_key, submit_and_wait, wait_flow
from jobd.client.follow import Gap, follow_events, follow_logs
from jobd.client.hook_sections import Hooks, Triggers
from jobd.client.job_operations import JobLike, Spec
from jobd.client.pipeline_sections import Pipelines, Runs
from jobd.client.retry import TIMEOUT_S
from jobd.client.schedules import Schedules
from jobd.client.sections import KeyValues, Members, Secrets, Tokens

__all__ = ["Client"]


class Client(Calls):
    """A cluster's API. From any thread; close it, or use it as a context manager.

    `address`: `host:port` of one or several nodes, by commas or in a list; the next is used when
    one does not answer. Without it JOBD_ADDRESS, else the node of this machine. `token`: else
    JOBD_TOKEN, else the local node's own. `timeout_s`: how long a call is tried, with what a node
    may take by intent (`wait`) on top.

    Every method may raise the errors of `actors.errors`, the same that the node raises:
    ActorUnavailable when no node answers, OutcomeUnknown when a submission may have been accepted,
    Unauthenticated and Forbidden. A job is named by its id, or by whatever has an `id`.
    """

    def __init__(
        self,
        address: str | Iterable[str] | None = None,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(address, token=token, timeout_s=timeout_s)
        self.kv = KeyValues(self)
        self.secrets = Secrets(self)
        self.pipelines = Pipelines(self)
        self.runs = Runs(self)
        self.hooks = Hooks(self)
        self.triggers = Triggers(self)
        self.tokens = Tokens(self)
        self.members = Members(self)
        self.schedules = Schedules(self)

    # -- jobs

    @overload
    def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: Literal[False] = False
    ) -> Accepted: ...

    @overload
    def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: Literal[True]
    ) -> JobDetail: ...

    def submit(
        self, spec: Spec, *, idempotency_key: str | None = None, wait: bool = False
    ) -> Accepted | JobDetail:
        """Submit a job: a dict, YAML or JSON text, or a path to it. With `wait`, to its end.

        It is durable when this returns, and there once: the key, by default one of its own, is the
        same however often the request has to be sent. Raises InvalidSpec with every problem.
        """
        key = idempotency_key or mint_key()
        if wait:
            return self.run(submit_and_wait(spec, key, None))
        return self.call(jobs.submit_job(spec, key))

    def submit_many(
        self, specs: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[BatchItem]:
        """Submit up to 500 jobs at once; each item has an id, or the problem that it met."""
        return self.call(jobs.submit_batch(specs, idempotency_key or mint_key())).items

    def plan(self, spec: Spec) -> Plan:
        """Say what would become of a job with this spec, without one."""
        return self.call(jobs.plan_job(spec))

    def get_job(self, job: JobLike) -> JobDetail:
        """Return a job."""
        return self.call(jobs.get_job(job))

    def list_jobs(
        self, *, limit: int | None = None, **filters: Any
    ) -> Generator[JobView, None, None]:
        """Yield jobs, the newest first, page by page.

        `filters` are those of the API: state, type, label, name, q, id_prefix; a list of values
        means any of them.
        """
        return self.pages(partial(jobs.list_jobs, filters), limit)

    def wait(
        self, job: JobLike, *, until: Until = "terminal", timeout_s: float | None = None
    ) -> JobDetail:
        """Wait until a job has ended, or `running`. Raises AskTimeout when the time is over."""
        return self.run(wait_flow(job, until, timeout_s))

    def cancel(self, job: JobLike, reason: str = "") -> JobDetail:
        """Cancel a job, or ask what runs of it to end."""
        return self.call(jobs.cancel_job(job, reason))

    def retry(self, job: JobLike, *, idempotency_key: str | None = None) -> Accepted:
        """Submit the spec of a job that has ended as a new job."""
        return self.call(jobs.retry_job(job, idempotency_key or mint_key()))

    def delete(self, job: JobLike) -> None:
        """Delete a job that has ended, with its log and its output."""
        return self.call(jobs.delete_job(job))

    def explain(self, job: JobLike) -> dict[str, Any]:
        """Say why a job is where it is, and what it waits for."""
        return self.call(jobs.explain_job(job))

    def attempts(self, job: JobLike) -> Generator[AttemptView, None, None]:
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
    ) -> Generator[LogLine | Gap, None, None]:
        """Yield a job's log: what there is, or with `follow` until the job is over.

        From the last attempt on, or from `attempt` on; a `Gap` says what is lost. Following goes on
        behind the last line when the link breaks or the node restarts.
        """
        query = {"attempt": attempt, "task": task, "since": since, "stream": stream}
        if follow:
            return self.follow(follow_logs(jobs.stream_logs(job, query)))
        query = {**query, "task": task or 0, "attempt": attempt or None}
        return self._written(job, query)

    def output(self, job: JobLike, *, task: int = 0) -> Any:
        """Return what a job gave as its output, from JSON. Raises NotFound."""
        writer = Writer.to_memory()
        self.fetch(jobs.get_output(job, task), writer)
        return writer.json()

    def artifacts(self, job: JobLike) -> list[ArtifactView]:
        """Return the outputs of a job that were too large to be kept inline."""
        return self.call(jobs.list_artifacts(job)).items

    def download(
        self, job: JobLike, to: Destination, *, name: str = "output", task: int = 0
    ) -> int:
        """Write an artifact to a path or a binary file and return its size in bytes.

        A path is there once it is complete. Raises Corrupt when the bytes are not the artifact's.
        """
        writer = Writer.to(to, self.artifacts(job), name, task)
        try:
            self.fetch(jobs.get_artifact(job, name, task), writer)
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
    ) -> Generator[EventView | Gap, None, None]:
        """Yield events of these types (globs; none: all) as they happen, or those behind `after`.

        `where` says what must be at paths of the data: `{"order.country": "de"}`.
        Nothing is left out when the link breaks; what is no longer kept is told by a `Gap`. Without
        `follow` it ends with the last event there is.
        """
        filters = nodes.event_filters(where or {})
        query = {"types": list(types), "subject": subject, "filter": filters}
        if not follow:
            return self._kept(query, after)
        revision = 0 if after else self.status().revision
        return self.follow(follow_events(nodes.stream_events(query), after, revision))

    def emit(
        self,
        type_: str,
        data: Mapping[str, Any] | None = None,
        *,
        subject: str = "",
        idempotency_key: str | None = None,
    ) -> Emitted:
        """Emit a custom event, once."""
        key = idempotency_key or mint_key()
        return self.call(nodes.emit_event(type_, subject, data or {}, key))

    # -- the cluster

    def status(self) -> NodeStatus:
        """Return what the node says of itself."""
        return self.call(nodes.get_status())

    def cluster(self) -> ClusterView:
        """Return who makes up the cluster, and how its consensus does."""
        return self.call(nodes.get_cluster())

    def list_nodes(self) -> list[NodeView]:
        """Return the nodes, also those that are lost or left."""
        return self.call(nodes.list_nodes()).items

    def get_node(self, node: str) -> NodeView:
        """Return one node."""
        return self.call(nodes.get_node(node))

    def cordon(self, node: str) -> NodeView:
        """Have a node take no new work; what runs there goes on. Raises NotFound."""
        return self.call(nodes.cordon_node(node, cordoned=True))

    def uncordon(self, node: str) -> NodeView:
        """Have a node take work again; a drain that is under way ends. Raises NotFound."""
        return self.call(nodes.cordon_node(node, cordoned=False))

    def drain(
        self, node: str, mode: DrainMode = "finish", *, deadline: str | None = None
    ) -> NodeView:
        """Cordon a node and empty it: let what runs finish, or requeue it. Raises NotFound."""
        return self.call(nodes.drain_node(node, mode, deadline))

    def list_actors(
        self, prefix: str = "", *, node: str | None = None
    ) -> Generator[ActorView, None, None]:
        """Yield the live actors of the node that answers, or of `node`."""
        return self.pages(partial(nodes.list_actors, prefix, node), None)

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        timeout_s: float = 10.0,
        max_rows: int = 1_000,
    ) -> QueryResult:
        """Run one SELECT over the history; `parameters` are values for its `$1` or `$name`."""
        return self.call(nodes.run_query(sql, parameters, timeout_s, max_rows))

    def inspect(self, address: str) -> ActorRow:
        """Return what an actor of the node (`/scheduler`) says of itself, from its own turn."""
        return self.call(nodes.inspect_actor(address))

    def ping(self, address: str) -> int:
        """Return an actor's incarnation, from its own turn: a wedged one does not answer."""
        return self.call(nodes.ping_actor(address))

    # -- pages that end

    def _written(self, job: JobLike, query: dict[str, Any]) -> Generator[LogLine | Gap, None, None]:
        begin = 0
        while True:
            page = self.call(jobs.read_logs(job, {**query, "from": begin, "limit": 500}))
            yield from (Gap({"from": low, "to": high}) for low, high in page.gaps)
            yield from page.items
            if page.next_from == begin:
                return
            begin = page.next_from

    def _kept(
        self, query: dict[str, Any], after: str | None
    ) -> Generator[EventView | Gap, None, None]:
        while True:
            page = self.call(nodes.list_events({**query, "after": after, "limit": 500}))
            if page.gap:
                yield Gap({"after": after})
            yield from page.items
            after = page.next_cursor
            if after is None:
                return
