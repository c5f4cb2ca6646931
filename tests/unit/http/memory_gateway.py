"""A gateway over the real pure store and the real decisions, without actors, disks or processes.

`run` plays the scheduler and the slot for one job; logs are lists of records.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from actors.core.consensus.group import GroupStatus
from actors.core.explain import explain, forecast
from actors.core.job import Ending, KeyUse, accept, cancel, claim, finish, retry_job
from actors.core.log_record import STDERR, STDOUT, LogRecord, line_count
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.ports import EventPage, LogPage
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn
from actors.core.view import Entry
from actors.errors import (
    Conflict,
    IdempotencyMismatch,
    NodeUnreachable,
    NotFound,
    PreconditionFailed,
    ReadOnly,
)
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.epoch import Epoch, Member
from actors.model.event import Event, EventDraft
from actors.model.idempotency import IdempotencyKey, hash_key
from actors.model.ids import id_time_ms, is_id, make_id
from actors.model.job import TERMINAL
from actors.model.session import Session
from actors.model.spec import JobSpec
from actors.model.token import SCOPES, Token, format_token, hash_secret
from actors.replica_messages import ChangeEpoch
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
from jobd.api.message import ApiReply
from jobd.api.node_views import ActorView, NodeView
from jobd.node.contact import Contact
from jobd.node.node_cluster import ClusterSource, NodeCluster
from jobd.node.node_hooks import NodeHooks
from jobd.node.node_view import node_view
from jobd.node.pipelines import NodePipelines
from jobd.node.repeats import Repeats, check_body
from jobd.node.schedules import Schedules
from jobd.node.writer import check_match
from tests.unit.http.memory_audit import MemoryAudit, MemoryBox
from tests.unit.http.memory_past import MemoryPast

__all__ = ["NOW_MS", "MemoryGateway"]

NOW_MS = 1_800_000_000_000
SECRET = "5e" * 32


class _Clock:
    """The gateway's time."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self._gateway = gateway

    def now_ms(self) -> int:
        return self._gateway.now_ms

    def monotonic_s(self) -> float:
        return self._gateway.monotonic_s


class _Commits:
    """A writer that commits at once."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self._gateway = gateway

    async def write(self, decide: Callable[[], Any], **_: Any) -> Any:
        wanted = decide()
        if isinstance(wanted, ChangeEpoch):
            self._gateway.begin(wanted.epoch)
            return self._gateway.commit(wanted.txn)
        return self._gateway.commit(wanted) if isinstance(wanted, Txn) else wanted


class _Elsewhere:
    """Other nodes, that take note of what they are asked."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self._gateway = gateway

    async def perform(
        self,
        node: str,
        operation: str,
        params: dict[str, str],
        query: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> ApiReply:
        self._gateway.asked.append((node, operation, params, query))
        return ApiReply(200, {"X-JobD-Revision": "5"}, b"")


async def _in_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    data = path.read_bytes()
    size = max(7, len(data) // 50)
    for start in range(0, len(data), size):
        yield data[start : start + size]


class MemoryGateway:
    """Implements jobd.api.gateway.Gateway in memory."""

    def __init__(self) -> None:
        self.state = State()
        self.now_ms = NOW_MS
        self.broken: Exception | None = None  # what the next submission raises
        self.log_broken: Exception | None = None  # what reading a log raises
        self.ready = (True, "")
        self.away: set[str] = set()  # nodes that can't be reached
        self.peers = Peers("n1")
        self.group = GroupStatus(role="solo", epoch=Epoch(1, "c1", (Member("n1"),), 1), index=7)
        self.asked: list[tuple[str, str, dict[str, str], tuple[tuple[str, str], ...]]] = []
        self.artifacts: dict[tuple[str, int], Path] = {}
        self.floor: tuple[int, int] = (0, 0)  # events below are no longer kept
        self._events: list[Event] = []
        self._tails = EventTails()
        self.audit = MemoryAudit()
        self.past = MemoryPast()
        self.vault = Vault(self.state, "n1", lambda: MemoryBox(Path("/nowhere")))
        self.barriers = 0
        self.monotonic_s = 1_000.0
        clock = cast(Any, _Clock(self))
        contact = Contact(self.peers, clock, 5_000)
        writer = cast(Any, _Commits(self))
        repeats = Repeats(self.state, writer, clock=clock, new_id=self.new_id)
        self.cluster = NodeCluster(
            self.state,
            self.peers,
            writer,
            repeats,
            contact,
            cast(Any, _Elsewhere(self)),
            clock=clock,
            new_id=self.new_id,
            source=ClusterSource(
                own=self.node,
                group=lambda: self.group,
                capacities=list,
                join_keys=lambda _: (b"", ""),
            ),
        )
        self.pipelines = NodePipelines(repeats, self.log_wakeups)
        door: dict[str, Any] = {"clock": clock, "new_id": self.new_id, "check": lambda _: None}
        self.schedules = Schedules(self.state, writer, repeats, **door)
        self.hooks = NodeHooks(self.vault, self.state, writer, repeats, **door)
        self.live_actors: list[ActorView] = []
        self._logs: dict[str, list[LogRecord]] = defaultdict(list)
        self._wakeups: set[asyncio.Event] = set()
        self._ids = itertools.count(1)
        self.commit(Txn((), ((keys.session("n1"), encode(Session("up", 1, NOW_MS, "n1"))),)))
        self.session = self.state.revision

    @property
    def view(self) -> State:
        return self.state

    def commit(self, txn: Txn) -> int:
        result = self.state.apply(txn)
        if not isinstance(result, Committed):
            raise Conflict(f"the checks failed: {result}")
        for event in self.state.take_events():
            self._events.append(event)
            self._tails.publish(event)
        self.wake()
        return result.revision

    def begin(self, epoch: Epoch) -> None:
        """Have an epoch."""
        self.group = replace(self.group, epoch=epoch)
        peers = self.peers
        peers.update(
            voters=epoch.nodes,
            alive=peers.alive(),
            leader=epoch.nodes[0],
            isolated_since_ms=None,
            conditions=(),
            keeps_time=True,
        )

    def wake(self) -> None:
        for wakeup in self._wakeups:
            wakeup.set()

    def new_id(self) -> str:
        return make_id(self.now_ms, next(self._ids))

    def mint(self, *scopes: str, expires_ms: int = 0) -> str:
        """Return the text of a token with these scopes, of all without any."""
        token_id = self.new_id()
        token = Token("test", hash_secret(SECRET), scopes or SCOPES, self.now_ms, expires_ms)
        self.commit(Txn((), ((keys.token(token_id), encode(token)),)))
        return format_token(token_id, SECRET)

    def revoke(self, text: str) -> None:
        """Revoke the token with this text."""
        self.commit(Txn((), ((keys.token(text.split("_")[1]), None),)))

    # -- playing the node

    def start(self, job_id: str, task: int = 0) -> str:
        """Claim the next attempt; return its key."""
        txn = claim(
            self.state,
            job_id,
            task,
            node="n1",
            session_revision=self.session,
            slot=0,
            supervisor="s1",
            now_ms=self.now_ms,
        )
        assert isinstance(txn, Txn), txn
        self.commit(txn)
        return next(key for key, _ in txn.ops if key.startswith("attempt/"))

    def end(self, attempt: str, ending: Ending) -> None:
        txn = finish(self.state, attempt, ending, now_ms=self.now_ms, rand=0.0)
        assert txn is not None
        self.commit(txn)

    def write_log(self, attempt: str, data: bytes, stream: int = STDOUT, flags: int = 0) -> None:
        log = self._logs[attempt]
        seq = log[-1].seq + line_count(log[-1].data) if log else 0
        log.append(LogRecord(seq, self.now_ms, stream, flags, data))
        self.wake()

    def run(self, job_id: str, *, code: int = 0, out: bytes = b"", err: bytes = b"") -> None:
        """Run a job without fan-out to the end of one attempt."""
        attempt = self.start(job_id)
        if out:
            self.write_log(attempt, out)
        if err:
            self.write_log(attempt, err, STDERR)
        outcome = "succeeded" if code == 0 else "failed"
        self.end(attempt, Ending(outcome, "exit", exit_code=code))  # type: ignore[arg-type]

    # -- Gateway

    async def put_secret(
        self, name: str, value: bytes, *, if_match: int | None = None, if_none_match: bool = False
    ) -> int:
        entry = self.state.get(keys.secret(name))
        revision = entry.revision if entry is not None else 0
        check_match(revision, if_match)
        if if_none_match and revision:
            raise PreconditionFailed(f"there is a secret {name}", revision=revision)
        return self.commit(Txn(*self.vault.seal(name, value, self.now_ms)))

    async def delete_secret(self, name: str, *, if_match: int | None = None) -> int:
        entry = self.state.get(keys.secret(name))
        if entry is None:
            raise NotFound(f"there is no secret {name}")
        check_match(entry.revision, if_match)
        return self.commit(Txn((), ((keys.secret(name), None),)))

    def newest_jobs(self, before: str = "") -> Iterator[tuple[str, Entry]]:
        for key, entry in reversed(list(self.state.scan("job/"))):
            if not before or key < keys.job(before):
                yield keys.last(key), entry

    async def submit_job(
        self,
        spec: JobSpec,
        *,
        principal: str,
        idempotency_key: str | None,
        body_hash: str,
        retry_of: str | None = None,
    ) -> Submitted:
        if self.broken is not None:
            raise self.broken

        def decide(job_id: str, record: tuple[str, str, int] | None) -> Txn | None:
            return accept(
                self.state,
                spec,
                job_id,
                now_ms=self.now_ms,
                principal=principal,
                body_hash=body_hash,
                idempotency=[KeyUse(*record)] if record is not None else [],
                retry_of=retry_of,
            )

        return self._once(decide, principal, idempotency_key, body_hash)

    async def retry_job(
        self,
        job_id: str,
        *,
        principal: str,
        idempotency_key: str | None,
        if_match: int | None = None,
    ) -> Submitted:
        self._check_job(job_id, if_match)

        def decide(new_id: str, record: tuple[str, str, int] | None) -> Txn | None:
            return retry_job(
                self.state,
                job_id,
                new_id,
                now_ms=self.now_ms,
                principal=principal,
                body_hash=job_id,
            )

        return self._once(decide, principal, idempotency_key, job_id)

    def _once(
        self,
        decide: Callable[[str, tuple[str, str, int] | None], Txn | None],
        principal: str,
        key: str | None,
        body_hash: str,
    ) -> Submitted:
        job_id, record = self.new_id(), None
        if key is not None and is_id(key) and abs(id_time_ms(key) - self.now_ms) <= 600_000:
            job_id = key
            held = self.state.get(keys.job(job_id))
            made = (job_id, held.noun.body_hash) if held else None
        elif key is not None:
            record = (principal, hashlib.sha256(key.encode()).hexdigest(), 86_400_000)
            held = self.state.get(keys.idempotency(principal, record[1]))
            made = (held.noun.made, held.noun.body_hash) if held else None
        else:
            made = None
        if made is not None:
            if made[1] != body_hash:
                raise IdempotencyMismatch("the key came with another body")
            return Submitted(made[0], True, key or made[0], self.state.revision)
        txn = decide(job_id, record)
        if txn is None:
            raise Conflict("the job has not ended")
        return Submitted(job_id, False, key or job_id, self.commit(txn))

    async def cancel_job(self, job_id: str, reason: str, if_match: int | None) -> int:
        entry = self._check_job(job_id, if_match)
        txn = cancel(self.state, job_id, reason, self.now_ms)
        return entry.revision if txn is None else self.commit(txn)

    def _check_job(self, job_id: str, if_match: int | None) -> Entry:
        entry = self.state.get(keys.job(job_id))
        assert entry is not None
        check_match(revision_of(self.state, job_id, entry), if_match)
        return entry

    async def barrier(self) -> None:
        self.barriers += 1

    async def delete_job(self, job_id: str, if_match: int | None = None) -> None:
        entry = self._check_job(job_id, if_match)
        if entry.noun.state not in TERMINAL:
            raise Conflict("the job has not ended")
        self.commit(Txn((), ((keys.job(job_id), None), (keys.spec(job_id), None))))

    async def wait_revision(self, after: int, timeout_s: float) -> int:
        await self._wait(lambda: self.state.revision > after, timeout_s)
        return self.state.revision

    async def wait_job(self, job_id: str, until: Until, timeout_s: float) -> None:
        def there() -> bool:
            entry = self.state.get(keys.job(job_id))
            far = TERMINAL | {"running"} if until == "running" else TERMINAL
            return entry is None or entry.noun.state in far

        await self._wait(there, timeout_s)

    async def _wait(self, there: Callable[[], bool], timeout_s: float) -> None:
        async with self._woken() as wakeup:
            try:
                async with asyncio.timeout(timeout_s):
                    while not there():
                        wakeup.clear()
                        await wakeup.wait()
            except TimeoutError:
                return

    def log_wakeups(self, job_id: str) -> Any:
        return self._woken()

    @asynccontextmanager
    async def _woken(self) -> AsyncIterator[asyncio.Event]:
        wakeup = asyncio.Event()
        self._wakeups.add(wakeup)
        try:
            yield wakeup
        finally:
            self._wakeups.discard(wakeup)

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
        if self.log_broken is not None:
            raise self.log_broken
        if node in self.away:
            raise NodeUnreachable.at(node, "its log")
        key = keys.attempt(job_id, task, attempt)
        log = self._logs.get(key, [])
        records = [r for r in log if r.seq >= from_seq and stream in (None, r.stream)][:limit]
        last = records[-1] if records else None
        next_seq = last.seq + line_count(last.data) if last else from_seq
        gaps = [(from_seq, log[0].seq)] if log and from_seq < log[0].seq else []
        return LogPage(records, next_seq, self.state.get(key) is None, gaps)

    async def read_events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventPage:
        found = [
            event
            for event in self._events
            if (event.revision, event.k) > max(after, self.floor)
            and (not types or any(fnmatch.fnmatchcase(event.type, t) for t in types))
            and subject in (None, event.subject)
        ]
        return EventPage(tuple(found[:limit]), after < self.floor)

    def event_tail(
        self, types: tuple[str, ...], subject: str | None
    ) -> AbstractContextManager[EventTail]:
        return self._tails.open(types, subject)

    async def emit_event(
        self,
        type_: str,
        subject: str,
        data: dict[str, Any],
        *,
        request: RequestKey,
        cause: Cause | None = None,
    ) -> Written:
        draft = EventDraft(type_, subject, data, cause=cause)
        txn = Txn((), (), (draft,), self.now_ms)
        return self._write_once(txn, request, "")[0]

    def _write_once(self, txn: Txn, request: RequestKey, made: str) -> tuple[Written, str]:
        key = request.key or self.new_id()
        name = keys.idempotency(request.owner, hash_key(key))
        held = self.state.get(name)
        if held is not None:
            check_body(key, held.noun.body_hash, request.body_hash)
            return Written(held.revision, True, key), held.noun.made
        record = IdempotencyKey(made, request.body_hash, self.now_ms + 60_000)
        both = replace(txn, ops=(*txn.ops, (name, encode(record))))
        return Written(self.commit(both), False, key), made

    async def put_kv(
        self,
        namespace: str,
        key: str,
        value: bytes,
        *,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        if self.broken is not None:
            raise self.broken
        name = keys.kv(namespace, key)
        entry = self.state.get(name)
        revision = entry.revision if entry is not None else 0
        check_match(revision, if_match)
        if if_none_match and revision:
            raise PreconditionFailed(f"{key} exists", revision=revision)
        return self.commit(Txn((), ((name, encode(value)),)))

    async def delete_kv(self, namespace: str, key: str, *, if_match: int | None = None) -> int:
        name = keys.kv(namespace, key)
        entry = self.state.get(name)
        if entry is None:
            raise NotFound(f"no key {key!r}")
        check_match(entry.revision, if_match)
        return self.commit(Txn((), ((name, None),)))

    async def create_token(
        self,
        name: str,
        scopes: tuple[str, ...],
        expires_ms: int,
        *,
        request: RequestKey,
    ) -> MintedToken:
        token_id = self.new_id()
        token = Token(name, hash_secret(SECRET), scopes, self.now_ms, expires_ms)
        txn = Txn((), ((keys.token(token_id), encode(token)),))
        written, made = self._write_once(txn, request, token_id)
        return MintedToken(
            made, None if written.replayed else format_token(token_id, SECRET), written
        )

    async def revoke_token(self, token_id: str, *, if_match: int | None = None) -> int:
        entry = self.state.get(keys.token(token_id))
        if entry is None:
            raise NotFound(f"no token {token_id!r}")
        check_match(entry.revision, if_match)
        return self.commit(Txn((), ((keys.token(token_id), None),)))

    async def artifact(
        self, job_id: str, task: int, name: str, *, node: str | None = None
    ) -> Path | AsyncGenerator[bytes, None]:
        if node in self.away:
            raise NodeUnreachable.at(node, "its artifact")
        if (job_id, task) not in self.artifacts or name != "output":
            raise NotFound("no such artifact")
        path = self.artifacts[job_id, task]
        return _in_pieces(path) if node != "n1" else path

    def explain(self, job_id: str) -> dict[str, Any]:
        answer = explain(self.state, job_id, (), self.now_ms)
        assert answer is not None
        return answer

    def forecast(self, spec: JobSpec) -> dict[str, Any]:
        node = NodeCapacity("n1", 2, 2, 2000, 2000, 2**30, 2**30, frozenset(("command",)))
        return forecast(self.state, spec, [node], self.now_ms)

    async def stage_backup(self) -> StagedBackup:
        return StagedBackup("/data/backups/1", self.state.revision)

    def status(self) -> NodeStatus:
        return NodeStatus(
            node="n1",
            name="n1",
            version="0",
            uptime_s=1.5,
            revision=self.state.revision,
            slots_total=2,
            slots_free=2,
            jobs={},
            storage={},
            read_only="the disk is full" if isinstance(self.broken, ReadOnly) else None,
        )

    def node(self) -> NodeView:
        node = NodeCapacity("n1", 2, 2, 2000, 2000, 2**30, 2**30, frozenset(("command",)))
        return node_view(
            self.state,
            node,
            incarnation=1,
            uptime_s=1.5,
            waits_for="" if self.ready[0] else self.ready[1],
            read_only="the disk is full" if isinstance(self.broken, ReadOnly) else None,
            addresses={},
        )

    def actors(self) -> list[ActorView]:
        return self.live_actors

    async def ask_node(
        self, node: str, operation: str, params: dict[str, str], query: tuple[tuple[str, str], ...]
    ) -> bytes:
        if node in self.away:
            raise NodeUnreachable.at(node, "it")
        self.asked.append((node, operation, params, query))
        return b'{"items": [], "next_cursor": null}'

    def health(self) -> tuple[bool, str]:
        return self.ready
