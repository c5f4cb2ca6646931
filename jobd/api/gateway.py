"""The joint between the HTTP facade and the node: all that the facade needs, and nothing else.

Reads of records are synchronous on the loop, over the applied view. Writes are awaited and return
the revision at which they hold. Every method may raise an error of `actors.errors`; the facade maps
its `code` to a status. `jobd/node/gateway.py` implements this over the actors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from actors.core.ports import EventPage, LogPage
from actors.core.view import Entry, View
from actors.model.cause import Cause
from actors.model.spec import JobSpec
from jobd.api.audit import Audit
from jobd.api.cluster_gateway import ClusterGateway
from jobd.api.event_tail import EventTail
from jobd.api.hook_gateway import HookGateway
from jobd.api.node_views import ActorView, NodeView
from jobd.api.past import Past
from jobd.api.pipeline_gateway import PipelineGateway
from jobd.api.schedule_gateway import ScheduleGateway

__all__ = [
    "Gateway",
    "MintedToken",
    "NodeStatus",
    "RequestKey",
    "StagedBackup",
    "Submitted",
    "Until",
    "Written",
]

Until = Literal["running", "terminal"]


class Submitted(NamedTuple):
    """A job that is durably accepted.

    `key` is the idempotency key that makes a repeat safe: the client's own or, when none came, the
    job's id. `replayed` says that an earlier request with that key had made the job.
    """

    job_id: str
    replayed: bool
    key: str
    revision: int


class RequestKey(NamedTuple):
    """What a repeat of a write is known by: whose key (None: none came), and what it said."""

    owner: str
    key: str | None
    body_hash: str


class Written(NamedTuple):
    """A write that holds at `revision`; `replayed`: it was made by an earlier request."""

    revision: int
    replayed: bool
    key: str


class MintedToken(NamedTuple):
    """A token; `text` is shown once, the store keeps only a hash: None when it is a replay."""

    token_id: str
    text: str | None
    written: Written


class StagedBackup(msgspec.Struct, frozen=True):
    """A copy of the node's data as of a revision, in a directory of the node's own machine.

    To be copied elsewhere and removed by whoever asked for it.
    """

    path: str
    revision: int


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself."""

    node: str
    name: str
    version: str
    uptime_s: float
    revision: int
    slots_total: int
    slots_free: int
    jobs: dict[str, int]  # by state
    storage: dict[str, Any]  # engine, keys, bytes
    read_only: str | None = None  # why writes are refused
    role: str = "solo"  # in consensus: solo, voter or learner
    epoch: int = 1
    nodes_alive: int = 1  # that are heard, this one included
    isolated_ms: int = 0  # for how long it has heard no majority of the voters


class Gateway(Protocol):
    """What the facade asks of the node."""

    @property
    def view(self) -> View:
        """What is applied here; read it within one turn of the loop."""

    def newest_jobs(self, before: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (job id, entry of job/<id>) with ids below `before`, the newest first.

        Consumed within one turn of the loop: a commit may end the iteration.
        """

    async def submit_job(
        self,
        spec: JobSpec,
        *,
        principal: str,
        idempotency_key: str | None,
        body_hash: str,
        retry_of: str | None = None,
    ) -> Submitted:
        """Accept a job durably.

        A key in the form of an id minted within ten minutes of now is the job's id to be and has
        no record of its own; any other key is the client's, kept for IDEMPOTENCY_TTL_S.
        Raises IdempotencyMismatch (same key, other body), Conflict (the first is in flight), Busy,
        ReadOnly, OutcomeUnknown.
        """

    async def retry_job(
        self,
        job_id: str,
        *,
        principal: str,
        idempotency_key: str | None,
        if_match: int | None = None,
    ) -> Submitted:
        """Accept a new job with the spec of a terminal one.

        Raises NotFound, Conflict, PreconditionFailed (the job is not at revision `if_match`).
        """

    async def cancel_job(self, job_id: str, reason: str, if_match: int | None) -> int:
        """Cancel a job or ask its slots to; a terminal job stays as it is. Returns the revision.

        Raises NotFound, PreconditionFailed (the job is not at revision `if_match`).
        """

    async def delete_job(self, job_id: str, if_match: int | None = None) -> None:
        """Delete a terminal job with its log and output.

        Raises NotFound, Conflict, PreconditionFailed.
        """

    async def barrier(self) -> None:
        """Return once everything that was acknowledged before the call is applied here.

        Raises NoQuorum, AskTimeout.
        """

    async def wait_revision(self, after: int, timeout_s: float) -> int:
        """Return the applied revision once it is above `after`, or at the timeout."""

    async def wait_job(self, job_id: str, until: Until, timeout_s: float) -> None:
        """Return once the job runs or has ended, once it has ended, or at the timeout."""

    async def read_log(
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
        """Return records from `from_seq` on; an attempt that never wrote has one empty page.

        `stream` is one of `actors.core.log_record`'s, None is all. `node` is where it ran, None
        where that is not known any more. Raises NodeUnreachable.
        """

    def log_wakeups(self, job_id: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Give an event that is set when the job's log has grown or its records changed."""

    async def read_events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventPage:
        """Return events above `after`; `types` are globs, any of which may match (none: all).

        The events of every revision that the view shows are there.
        """

    def event_tail(
        self, types: tuple[str, ...], subject: str | None
    ) -> AbstractContextManager[EventTail]:
        """Give the events that are published from now on; what was before is `read_events`'s."""

    async def emit_event(
        self,
        type_: str,
        subject: str,
        data: dict[str, Any],
        *,
        request: RequestKey,
        cause: Cause | None = None,
    ) -> Written:
        """Emit a custom event once; it is the first of the returned revision.

        Raises IdempotencyMismatch, InFlight.
        """

    async def put_kv(
        self,
        namespace: str,
        key: str,
        value: bytes,
        *,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a value.

        Raises PreconditionFailed when it is not at `if_match`, or exists against the wish.
        """

    async def delete_kv(self, namespace: str, key: str, *, if_match: int | None = None) -> int:
        """Delete a value. Raises NotFound, PreconditionFailed."""

    async def create_token(
        self,
        name: str,
        scopes: tuple[str, ...],
        expires_ms: int,
        *,
        request: RequestKey,
    ) -> MintedToken:
        """Mint a token once; `expires_ms` 0 is never. Raises IdempotencyMismatch, InFlight."""

    async def revoke_token(self, token_id: str, *, if_match: int | None = None) -> int:
        """Delete a token. Raises NotFound, PreconditionFailed."""

    async def put_secret(
        self, name: str, value: bytes, *, if_match: int | None = None, if_none_match: bool = False
    ) -> int:
        """Seal and put a secret.

        Raises InvalidInput, TooLarge, PreconditionFailed, Busy, SealingKeyLost.
        """

    async def delete_secret(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a secret. Raises NotFound, PreconditionFailed."""

    @property
    def pipelines(self) -> PipelineGateway:
        """Pipelines and their runs."""

    @property
    def audit(self) -> Audit:
        """The audit trail."""

    @property
    def past(self) -> Past:
        """The history of what has ended."""

    @property
    def cluster(self) -> ClusterGateway:
        """The nodes of the cluster."""

    @property
    def schedules(self) -> ScheduleGateway:
        """The schedules."""

    @property
    def hooks(self) -> HookGateway:
        """Triggers, hooks and inbound webhooks."""

    async def artifact(
        self, job_id: str, task: int, name: str, *, node: str | None = None
    ) -> Path | AsyncGenerator[bytes, None]:
        """Return the file of a job's artifact, or the pieces of one that another node has.

        `node` is where it was made. Raises NotFound, NodeUnreachable; so may the pieces.
        """

    def explain(self, job_id: str) -> dict[str, Any]:
        """Say why a job is where it is. Raises NotFound."""

    def forecast(self, spec: JobSpec) -> dict[str, Any]:
        """Say what would become of a job with this spec, were it submitted now."""

    async def stage_backup(self) -> StagedBackup:
        """Copy what the node must not lose. Raises Conflict, ReadOnly, ConfigError."""

    def status(self) -> NodeStatus:
        """Return what this node says of itself."""

    def node(self) -> NodeView:
        """Return this node as the cluster sees it."""

    def actors(self) -> list[ActorView]:
        """Return the live actors of this node, in start order."""

    async def ask_node(
        self, node: str, operation: str, params: dict[str, str], query: tuple[tuple[str, str], ...]
    ) -> bytes:
        """Return the body of what another node answers to an operation that only looks.

        Raises its refusal, NodeUnreachable.
        """

    def health(self) -> tuple[bool, str]:
        """Return whether the node takes work, and what it waits for when it does not."""
