"""The facade's gateway, over the actors of this node.

Reads are of the applied view, on the loop. A write is a transaction: decided from the view, taken
again from a newer one when it conflicts (at most RULES_RETRIES times), answered when it is durable.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from actors import addresses, limits
from actors.consensus_replica import SubmitTxn
from actors.core.job import accept, cancel, evict, retry_job
from actors.core.ports import ArtifactStore, EventPage
from actors.core.store.state import State
from actors.core.store.txn import Committed, Stale, Txn, absent, at
from actors.core.view import Entry, View
from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    Busy,
    Conflict,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from actors.image_writer import ReadEvents
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.ids import id_time_ms, is_id
from actors.model.job import TERMINAL
from actors.model.spec import JobSpec
from actors.model.token import Token, format_token, hash_secret
from actors.run_log import Forget, ReadLog
from actors.runtime import LoopHost
from actors.wakeups import ANYTHING, Unwatch, Watch
from jobd.http.gateway import (
    EventsPage,
    LogPage,
    MintedToken,
    NodeStatus,
    Submitted,
    Until,
)

__all__ = ["NodeGateway", "StatusSource"]

_MINTED_WITHIN_MS: Final = 600_000
_SESSION_PAUSE_S: Final = 0.05
_BUCKET_PAUSE_S: Final = 0.5


class StatusSource:
    """What the node knows of itself beside the store; the wiring fills it."""

    def __init__(
        self,
        *,
        status: Callable[[], NodeStatus],
        health: Callable[[], tuple[bool, str]],
        explain: Callable[[str], dict[str, Any]],
    ) -> None:
        self.status = status
        self.health = health
        self.explain = explain


class NodeGateway:
    """Implements jobd.http.gateway.Gateway."""

    def __init__(
        self,
        host: LoopHost,
        state: State,
        *,
        clock: Any,
        new_id: Callable[[], str],
        artifacts: ArtifactStore,
        source: StatusSource,
    ) -> None:
        self._host = host
        self._state = state
        self._clock = clock
        self._new_id = new_id
        self._artifacts = artifacts
        self._source = source

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
        now_ms = self._clock.now_ms()
        job_id, key, client_key = self._identify(idempotency_key, principal, now_ms)
        spec_key = (
            ("spec", _hash(spec.idempotency_key), spec.idempotency_ttl_ms)
            if (spec.idempotency_key is not None)
            else None
        )
        record = client_key or spec_key

        def decide() -> Txn | Submitted:
            replayed = self._replay(job_id, record, body_hash, key, now_ms)
            if replayed is not None:
                return replayed
            return accept(
                self._state,
                spec,
                job_id,
                now_ms=now_ms,
                principal=principal,
                body_hash=body_hash,
                idempotency=record,
                retry_of=retry_of,
            )

        done = await self._decide(decide, key=key, job_id=job_id)
        return done if isinstance(done, Submitted) else Submitted(job_id, False, key, done)

    def _identify(
        self, key: str | None, principal: str, now_ms: int
    ) -> tuple[str, str, tuple[str, str, int] | None]:
        """Return (job id, key, the record of a client's own key).

        A minted key is the job's id and needs no record; its age is bounded, so that its bucket
        is still open.
        """
        if key is None:
            minted = self._new_id()
            return minted, minted, None
        if is_id(key) and abs(id_time_ms(key) - now_ms) <= _MINTED_WITHIN_MS:
            return key, key, None
        if self._state.count(f"idempotency/{principal}/") >= limits.IDEMPOTENCY_KEYS_PER_TOKEN:
            raise Busy(
                f"this token has {limits.IDEMPOTENCY_KEYS_PER_TOKEN} idempotency keys in use",
                remedy="wait until older ones run out, or let the server mint the key",
            )
        ttl_ms = limits.IDEMPOTENCY_TTL_S * 1000
        return self._new_id(), key, (principal, _hash(key), ttl_ms)

    def _replay(
        self,
        job_id: str,
        record: tuple[str, str, int] | None,
        body_hash: str,
        key: str,
        now_ms: int,
    ) -> Submitted | None:
        """Return what the key made before. Raises IdempotencyMismatch for another body."""
        if record is not None:
            held = self._state.get(keys.idempotency(record[0], record[1]))
            if held is None or held.noun.expires_ms <= now_ms:
                return None
            made, made_hash, revision = held.noun.job_id, held.noun.body_hash, held.revision
            # A spec's own key says that the work is the same, whatever else the spec says.
            if record[0] == "spec":
                return Submitted(made, True, key, revision)
        else:
            entry = self._state.get(keys.job(job_id))
            if entry is None:
                return None
            made, made_hash, revision = job_id, entry.noun.body_hash, entry.revision
        if made_hash != body_hash:
            raise IdempotencyMismatch(
                f"the idempotency key {key!r} was used with another body",
                remedy="send the same body again, or take a new key",
            )
        return Submitted(made, True, key, revision)

    async def retry_job(
        self, job_id: str, *, principal: str, idempotency_key: str | None
    ) -> Submitted:
        """Run a terminal job again as a new job."""
        now_ms = self._clock.now_ms()
        new_id, key, record = self._identify(idempotency_key, principal, now_ms)
        body_hash = _hash(f"retry {job_id}")

        def decide() -> Txn | Submitted:
            replayed = self._replay(new_id, record, body_hash, key, now_ms)
            if replayed is not None:
                return replayed
            self._job(job_id)
            txn = retry_job(
                self._state,
                job_id,
                new_id,
                now_ms=now_ms,
                principal=principal,
                body_hash=body_hash,
                idempotency=record,
            )
            if txn is None:
                raise Conflict(
                    f"job {job_id} has not ended", remedy="wait for its end or cancel it first"
                )
            return txn

        done = await self._decide(decide, key=key, job_id=new_id)
        return done if isinstance(done, Submitted) else Submitted(new_id, False, key, done)

    async def cancel_job(self, job_id: str, reason: str, if_match: int | None) -> int:
        """Cancel a job, or ask what runs to end."""

        def decide() -> Txn | int:
            entry = self._job(job_id)
            _check_match(entry, if_match)
            txn = cancel(self._state, job_id, reason, self._clock.now_ms())
            return txn if txn is not None else entry.revision

        revision: int = await self._decide(decide)
        return revision

    async def delete_job(self, job_id: str) -> None:
        """Delete a terminal job with its log and output."""

        def decide() -> Txn | None:
            entry = self._job(job_id)
            if entry.noun.state not in TERMINAL:
                raise Conflict(f"job {job_id} has not ended", remedy="cancel it first")
            return evict(self._state, [job_id], now_ms=self._clock.now_ms())

        digests = tuple(
            entry.noun.digest
            for _, entry in self._state.scan(f"output/{job_id}/")
            if entry.noun.digest is not None
        )
        # A job's bucket is closed before its record goes, and only once it is past (ten seconds).
        while self._state.get(keys.job(job_id)) is not None:
            if await self._decide(decide) is None:
                await asyncio.sleep(_BUCKET_PAUSE_S)
        self._host.tell(addresses.RUN_LOG, Forget(job_id, digests))

    def _job(self, job_id: str) -> Entry:
        entry = self._state.get(keys.job(job_id))
        if entry is None:
            raise NotFound(f"there is no job {job_id}", remedy="`jobctl job list` shows the jobs")
        return entry

    # -- waiting

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

    def log_wakeups(self, job_id: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Give an event that is set when the job's log has grown or its records changed."""
        return self._wakeups(job_id)

    @asynccontextmanager
    async def _wakeups(self, subject: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self._host.tell(addresses.WAKEUPS, Watch(subject, event.set))
        try:
            yield event
        finally:
            self._host.tell(addresses.WAKEUPS, Unwatch(subject, event.set))

    # -- logs and events

    async def read_log(
        self,
        job_id: str,
        task: int,
        attempt: int,
        from_seq: int,
        limit: int,
        stream: int | None,
    ) -> LogPage:
        """Return records from `from_seq` on."""
        message = ReadLog(keys.attempt(job_id, task, attempt), from_seq, limit, stream)
        try:
            page = await self._host.ask(addresses.RUN_LOG, message)
        except NotFound:
            over = self._state.get(keys.attempt(job_id, task, attempt)) is None
            return LogPage([], from_seq, over, [])
        return LogPage(*page)

    async def read_events(
        self, after: tuple[int, int], limit: int, types: tuple[str, ...], subject: str | None
    ) -> EventsPage:
        """Return events above `after`."""
        page: EventPage = await self._host.ask(
            addresses.EVENT_BUS, ReadEvents(after, limit, types, subject)
        )
        return EventsPage(list(page.events), page.gap)

    async def emit_event(self, type_: str, subject: str, data: dict[str, Any]) -> int:
        """Emit a custom event."""
        if type_.startswith("jobd:"):
            raise InvalidInput("event types that begin with `jobd:` are JobD's own")
        txn = Txn((), (), (EventDraft(type_, subject, data),), now_ms=self._clock.now_ms())
        revision: int = await self._decide(lambda: txn)
        return revision

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
            _check_match(entry, if_match)
            if if_none_match and entry is not None:
                raise Conflict(f"{namespace}/{key} exists", remedy="put it with If-Match")
            checks = (at(name, if_match),) if if_match is not None else ()
            checks = (absent(name),) if if_none_match else checks
            return Txn(checks, ((name, encode(value)),), now_ms=self._clock.now_ms())

        revision: int = await self._decide(decide)
        return revision

    async def delete_kv(self, namespace: str, key: str, *, if_match: int | None = None) -> int:
        """Delete a value."""
        return await self._delete(keys.kv(namespace, key), f"{namespace}/{key}", if_match)

    async def _delete(self, name: str, shown: str, if_match: int | None = None) -> int:
        def decide() -> Txn:
            entry = self._state.get(name)
            if entry is None:
                raise NotFound(f"there is no {shown}")
            _check_match(entry, if_match)
            return Txn((at(name, entry.revision),), ((name, None),), now_ms=self._clock.now_ms())

        revision: int = await self._decide(decide)
        return revision

    # -- tokens

    async def create_token(
        self, name: str, scopes: tuple[str, ...], expires_ms: int
    ) -> MintedToken:
        """Mint a token; only its hash is kept."""
        token_id, secret = self._new_id(), secrets.token_hex(32)
        now_ms = self._clock.now_ms()
        token = Token(name, hash_secret(secret), scopes, now_ms, expires_ms)
        key = keys.token(token_id)
        txn = Txn((absent(key),), ((key, encode(token)),), now_ms=now_ms)
        revision = await self._decide(lambda: txn)
        return MintedToken(token_id, format_token(token_id, secret), revision)

    async def revoke_token(self, token_id: str) -> int:
        """Delete a token."""
        return await self._delete(keys.token(token_id), f"token {token_id}")

    # -- the node

    async def artifact_path(self, job_id: str, task: int, name: str) -> Path:
        """Return the file of a job's artifact; there is one, `output`."""
        self._job(job_id)
        entry = self._state.get(keys.output(job_id, task))
        digest = entry.noun.digest if entry is not None else None
        path = self._artifacts.path(digest) if digest is not None and name == "output" else None
        if path is None:
            raise NotFound(f"job {job_id} has no artifact {name!r}")
        return path

    def explain(self, job_id: str) -> dict[str, Any]:
        """Say why a job is where it is."""
        self._job(job_id)
        return self._source.explain(job_id)

    def status(self) -> NodeStatus:
        """Return what this node says of itself."""
        return self._source.status()

    def health(self) -> tuple[bool, str]:
        """Return whether the node takes work."""
        return self._source.health()

    # -- deciding

    async def _decide(self, decide: Callable[[], Any], *, key: str = "", job_id: str = "") -> Any:
        """Submit what `decide` makes of the view, again while it conflicts; other values pass."""
        for _ in range(limits.RULES_RETRIES):
            txn = decide()
            if not isinstance(txn, Txn):
                return txn
            try:
                result = await self._host.ask(addresses.REPLICA, SubmitTxn(txn))
            except (AskTimeout, ActorUnavailable) as error:
                raise OutcomeUnknown(
                    "the write was not answered in time; it may still hold",
                    idempotency_key=key,
                    job_id=job_id,
                ) from error
            if isinstance(result, Committed):
                return result.revision
            if isinstance(result, Stale):
                await asyncio.sleep(_SESSION_PAUSE_S)  # the node is opening a new session
        raise Busy("the state changes too fast to decide", remedy="try again in a moment")


def _check_match(entry: Entry | None, if_match: int | None) -> None:
    if if_match is not None and (entry is None or entry.revision != if_match):
        now = f"at revision {entry.revision}" if entry is not None else "gone"
        raise Conflict(
            f"it is {now}, not at revision {if_match}", remedy="read it again, then decide"
        )


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"jobd-idem").hexdigest()
