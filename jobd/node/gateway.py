"""The facade's gateway, over the actors of this node.

Reads are of the applied view, on the loop; writes are decided from it and answered when durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from actors import addresses, limits
from actors.core.job import cancel, evict, held_by
from actors.core.peers import Peers
from actors.core.ports import ArtifactStore
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Txn, absent, at
from actors.core.view import Entry, View
from actors.errors import AskTimeout, Busy, Conflict, InvalidInput, NotFound, PreconditionFailed
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.ids import id_time_ms
from actors.model.job import TERMINAL
from actors.model.spec import JobSpec
from actors.model.token import Token, format_token, hash_secret
from actors.replica_messages import Barrier
from actors.runtime import Clock, LoopHost
from actors.runtime.trace import CURRENT
from actors.wakeups import ANYTHING
from jobd.api.audit import Audit
from jobd.api.event_tail import EventTail, EventTails
from jobd.api.gateway import (
    MintedToken,
    NodeStatus,
    RequestKey,
    StagedBackup,
    Submitted,
    Until,
    Written,
)
from jobd.api.job_views import revision_of
from jobd.api.node_views import ActorView, NodeView
from jobd.api.past import Past
from jobd.node.actor_rows import ActorRows
from jobd.node.contact import Contact
from jobd.node.node_cluster import ClusterSource, NodeCluster
from jobd.node.node_hooks import NodeHooks
from jobd.node.peer_reader import PeerReader
from jobd.node.pipelines import NodePipelines
from jobd.node.reads import Reads
from jobd.node.repeats import Repeats
from jobd.node.schedules import Schedules
from jobd.node.secrets import Secrets
from jobd.node.submission import Submissions
from jobd.node.writer import Writer, check_match

__all__ = ["NodeGateway", "StatusSource"]

_AHEAD_S: Final = 30  # more is no drift between the clocks of nodes
_BUCKET_PAUSE_S: Final = 0.5
_BARRIER_S: Final = 10.0


class StatusSource(NamedTuple):
    """What the node knows of itself beside the store; the wiring fills it."""

    status: Callable[[], NodeStatus]
    health: Callable[[], tuple[bool, str]]
    explain: Callable[[str], dict[str, Any]]
    forecast: Callable[[JobSpec], dict[str, Any]]
    node: Callable[[], NodeView]
    tails: EventTails
    stage_backup: Callable[[], Awaitable[StagedBackup]]


class NodeGateway:
    """Implements jobd.api.gateway.Gateway."""

    def __init__(
        self,
        host: LoopHost,
        state: State,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        artifacts: ArtifactStore,
        peers: Peers,
        failure_timeout_ms: int,
        source: StatusSource,
        cluster: ClusterSource,
        vault: Vault,
        audit: Audit,
        past: Past,
    ) -> None:
        self._host = host
        self._state = state
        self._clock = clock
        self._new_id = new_id
        self._source = source
        self._contact = contact = Contact(peers, clock, failure_timeout_ms)
        self._others = PeerReader(host, peers.node, peers.alive)
        self._writer = Writer(host, contact)
        self._repeats = Repeats(state, self._writer, clock=clock, new_id=new_id)
        self.cluster = NodeCluster(
            state,
            peers,
            self._writer,
            self._repeats,
            contact,
            self._others,
            clock=clock,
            new_id=new_id,
            source=cluster,
        )
        self._actor_rows = ActorRows(host)
        self._secrets = Secrets(vault, state, self._writer, clock=clock)
        self._submissions = Submissions(
            state, self._writer, clock=clock, new_id=new_id, check=self._secrets.check
        )
        door: dict[str, Any] = {"clock": clock, "new_id": new_id, "check": self._secrets.check}
        self.schedules = Schedules(state, self._writer, self._repeats, **door)
        self.hooks = NodeHooks(vault, state, self._writer, self._repeats, **door)
        self.audit = audit
        self.past = past
        reads = Reads(host, state, artifacts, self._others)
        self.pipelines = NodePipelines(self._repeats, reads.wakeups)
        self.read_log = reads.log
        self.log_wakeups = reads.wakeups
        self.read_events = reads.events
        self.artifact = reads.artifact
        self.put_secret = self._secrets.put
        self.delete_secret = self._secrets.delete

    @property
    def view(self) -> View:
        """What is applied here."""
        return self._state

    def newest_jobs(self, before: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield jobs, the newest first."""
        start = keys.job(before) if before else ""
        for key, entry in self._state.newest("job/", start):
            yield keys.last(key), entry

    # -- jobs

    async def submit_job(
        self,
        spec: JobSpec,
        *,
        principal: str,
        idempotency_key: str | None,
        body_hash: str,
        retry_of: str | None = None,
    ) -> Submitted:
        """Accept a job durably, or replay what the key made before."""
        return await self._submissions.submit(
            spec,
            principal=principal,
            idempotency_key=idempotency_key,
            body_hash=body_hash,
            retry_of=retry_of,
        )

    async def retry_job(
        self,
        job_id: str,
        *,
        principal: str,
        idempotency_key: str | None,
        if_match: int | None = None,
    ) -> Submitted:
        """Run a terminal job again as a new job."""
        check_match(revision_of(self._state, job_id, self._job(job_id)), if_match)
        return await self._submissions.retry(
            job_id, principal=principal, idempotency_key=idempotency_key
        )

    async def cancel_job(self, job_id: str, reason: str, if_match: int | None) -> int:
        """Cancel a job, or ask what runs to end."""

        def decide() -> Txn | int:
            entry = self._job(job_id)
            check_match(revision_of(self._state, job_id, entry), if_match)
            txn = cancel(self._state, job_id, reason, self._clock.now_ms())
            return txn if txn is not None else entry.revision

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def delete_job(self, job_id: str, if_match: int | None = None) -> None:
        """Delete a terminal job with its log and output."""

        def decide() -> Txn | None:
            entry = self._job(job_id)
            check_match(revision_of(self._state, job_id, entry), if_match)
            if entry.noun.state not in TERMINAL:
                raise Conflict(f"job {job_id} has not ended", remedy="cancel it first")
            if run := held_by(self._state, entry.noun):
                raise Conflict(f"job {job_id} is a step of run {run}", remedy="it goes with it")
            return evict(self._state, [job_id], now_ms=self._clock.now_ms())

        # A job's bucket is closed before its record goes, and only once it is past (ten seconds).
        ahead_s = (id_time_ms(job_id) - self._clock.now_ms()) // 1000
        if ahead_s > _AHEAD_S:
            raise Conflict(
                f"job {job_id} was submitted {ahead_s} s ahead of this node's clock",
                remedy="its clock was set back: delete the job once it has caught up",
            )
        while self._state.get(keys.job(job_id)) is not None:
            if await self._writer.write(decide, frees=True) is None:
                await asyncio.sleep(_BUCKET_PAUSE_S)

    def _job(self, job_id: str) -> Entry:
        entry = self._state.get(keys.job(job_id))
        if entry is None:
            raise NotFound(f"there is no job {job_id}", remedy="`jobctl job list` shows the jobs")
        return entry

    # -- waiting

    async def barrier(self) -> None:
        """Return once everything that was acknowledged before is applied here."""
        unknown = "what was acknowledged elsewhere is not known here"
        self._contact.check(unknown)
        try:
            asked = self._host.ask(addresses.REPLICA, Barrier(), timeout_s=_BARRIER_S)
            await self._contact.answer(asked)
        except AskTimeout:
            self._contact.check(unknown)
            raise

    async def wait_revision(self, after: int, timeout_s: float) -> int:
        """Return once something newer than `after` is applied, or at the timeout."""
        await self._wait(ANYTHING, lambda: self._state.revision > after, timeout_s)
        return self._state.revision

    async def wait_job(self, job_id: str, until: Until, timeout_s: float) -> None:
        """Return once the job runs or has ended, once it has ended, or at the timeout."""

        def there() -> bool:
            entry = self._state.get(keys.job(job_id))
            if entry is None or entry.noun.state in TERMINAL:
                return True
            return until == "running" and entry.noun.state == "running"

        await self._wait(job_id, there, timeout_s)

    async def _wait(self, subject: str, there: Callable[[], bool], timeout_s: float) -> None:
        async with self.log_wakeups(subject) as wakeup:
            deadline = asyncio.get_running_loop().time() + timeout_s
            while not there():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                try:
                    await asyncio.wait_for(wakeup.wait(), left)
                except TimeoutError:
                    return
                wakeup.clear()

    # -- events

    def event_tail(
        self, types: tuple[str, ...], subject: str | None
    ) -> AbstractContextManager[EventTail]:
        """Give the events that are published from now on."""
        return self._source.tails.open(types, subject)

    async def emit_event(
        self,
        type_: str,
        subject: str,
        data: dict[str, Any],
        *,
        request: RequestKey,
        cause: Cause | None = None,
    ) -> Written:
        """Emit a custom event once."""
        if type_.startswith("jobd:"):
            raise InvalidInput("event types that begin with `jobd:` are JobD's own")
        draft = EventDraft(type_, subject, data, CURRENT.get() or "", cause)
        txn = Txn((), (), (draft,), now_ms=self._clock.now_ms())
        written, _ = await self._repeats.write(lambda: txn, request)
        return written

    # -- kv

    async def put_kv(
        self,
        namespace: str,
        key: str,
        value: bytes,
        *,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a value."""
        name = keys.kv(namespace, key)

        def decide() -> Txn:
            entry = self._state.get(name)
            revision = entry.revision if entry is not None else 0
            check_match(revision, if_match)
            if if_none_match and revision:
                raise PreconditionFailed(
                    f"{namespace}/{key} exists", revision=revision, remedy="put it with If-Match"
                )
            if entry is None and self._state.count("kv") >= limits.KV_KEYS:
                raise Busy(f"there are {limits.KV_KEYS} keys already", remedy="delete some of them")
            checks = (at(name, revision),) if if_match is not None else ()
            checks = (absent(name),) if if_none_match else checks
            return Txn(checks, ((name, encode(value)),), now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide)
        return revision

    async def delete_kv(self, namespace: str, key: str, *, if_match: int | None = None) -> int:
        """Delete a value."""
        return await self._delete(keys.kv(namespace, key), f"{namespace}/{key}", if_match)

    async def _delete(self, name: str, shown: str, if_match: int | None = None) -> int:
        def decide() -> Txn:
            entry = self._state.get(name)
            if entry is None:
                raise NotFound(f"there is no {shown}")
            check_match(entry.revision, if_match)
            return Txn((at(name, entry.revision),), ((name, None),), now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    # -- tokens

    async def create_token(
        self,
        name: str,
        scopes: tuple[str, ...],
        expires_ms: int,
        *,
        request: RequestKey,
    ) -> MintedToken:
        """Mint a token once; only its hash is kept."""
        token_id, secret = self._new_id(), secrets.token_hex(32)
        now_ms = self._clock.now_ms()
        token = Token(name, hash_secret(secret), scopes, now_ms, expires_ms)
        key = keys.token(token_id)
        txn = Txn((absent(key),), ((key, encode(token)),), now_ms=now_ms)
        written, made = await self._repeats.write(lambda: txn, request, made=token_id)
        text = None if written.replayed else format_token(token_id, secret)
        return MintedToken(made, text, written)

    async def revoke_token(self, token_id: str, *, if_match: int | None = None) -> int:
        """Delete a token."""
        return await self._delete(keys.token(token_id), f"token {token_id}", if_match)

    # -- the node

    def explain(self, job_id: str) -> dict[str, Any]:
        """Say why a job is where it is."""
        self._job(job_id)
        return self._source.explain(job_id)

    def forecast(self, spec: JobSpec) -> dict[str, Any]:
        """Say what would become of a job with this spec."""
        return self._source.forecast(spec)

    async def stage_backup(self) -> StagedBackup:
        """Copy what the node must not lose."""
        return await self._source.stage_backup()

    def status(self) -> NodeStatus:
        """Return what this node says of itself."""
        return self._source.status()

    def node(self) -> NodeView:
        """Return this node as the cluster sees it."""
        return self._source.node()

    def actors(self) -> list[ActorView]:
        """Return the live actors."""
        return self._actor_rows.read()

    async def ask_node(
        self, node: str, operation: str, params: dict[str, str], query: tuple[tuple[str, str], ...]
    ) -> bytes:
        """Return the body of what another node answers."""
        if self._state.get(keys.session(node)) is None:
            raise NotFound(f"no node {node!r}", remedy="`jobctl node list` shows them")
        return (await self._others.perform(node, operation, params, query)).body

    def health(self) -> tuple[bool, str]:
        """Return whether the node takes work."""
        return self._source.health()
