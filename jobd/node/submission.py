"""Submitting a job at a door: its id, its idempotency keys, the replay of an earlier request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from actors import limits
from actors.core import buckets
from actors.core.job import KeyUse, accept, retry_job
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.errors import Conflict
from actors.model import keys
from actors.model.idempotency import hash_key
from actors.model.ids import id_time_ms, is_id
from actors.model.spec import JobSpec
from actors.runtime import Clock
from actors.runtime.trace import CURRENT
from jobd.api.gateway import Submitted
from jobd.node.repeats import check_body, check_room
from jobd.node.writer import Writer

__all__ = ["Submissions"]

_MINTED_WITHIN_MS: Final = 600_000


class _Identity(NamedTuple):
    """What a submission is known by: the id to be, the key to answer with, the keys to keep."""

    job_id: str
    key: str
    uses: list[KeyUse]


class Submissions:
    """Accepts jobs durably, each key once."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        check: Callable[[JobSpec], None],
    ) -> None:
        """`check` raises InvalidSpec for a spec that nothing here could run."""
        self._state = state
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._check = check

    async def submit(
        self,
        spec: JobSpec,
        *,
        principal: str,
        idempotency_key: str | None,
        body_hash: str,
        retry_of: str | None = None,
    ) -> Submitted:
        """Accept a job, or replay what one of its keys made before."""
        now_ms = self._clock.now_ms()
        known_as = self._identify(idempotency_key, principal, now_ms)
        if spec.idempotency_key is not None:
            own = KeyUse("spec", hash_key(spec.idempotency_key), spec.idempotency_ttl_ms)
            known_as.uses.append(own)

        def decide() -> Txn | Submitted:
            replayed = self._replay(known_as, body_hash, now_ms)
            if replayed is not None:
                return replayed
            self._check(spec)
            for whose in {use.owner for use in known_as.uses}:
                check_room(self._state, whose)
            return accept(
                self._state,
                spec,
                known_as.job_id,
                now_ms=now_ms,
                principal=principal,
                body_hash=body_hash,
                idempotency=known_as.uses,
                retry_of=retry_of,
                trace=CURRENT.get() or "",
            )

        return await self._submit(decide, principal, known_as)

    async def retry(self, job_id: str, *, principal: str, idempotency_key: str | None) -> Submitted:
        """Run a terminal job again as a new job. Raises Conflict while it is open."""
        now_ms = self._clock.now_ms()
        known_as = self._identify(idempotency_key, principal, now_ms)
        body_hash = hash_key(f"retry {job_id}")

        def decide() -> Txn | Submitted:
            replayed = self._replay(known_as, body_hash, now_ms)
            if replayed is not None:
                return replayed
            spec = self._state.get(keys.spec(job_id))
            if spec is not None:
                self._check(spec.noun)
            for whose in {use.owner for use in known_as.uses}:
                check_room(self._state, whose)
            txn = retry_job(
                self._state,
                job_id,
                known_as.job_id,
                now_ms=now_ms,
                principal=principal,
                body_hash=body_hash,
                idempotency=known_as.uses,
                trace=CURRENT.get() or "",
            )
            if txn is None:
                raise Conflict(
                    f"job {job_id} has not ended", remedy="wait for its end or cancel it first"
                )
            return txn

        return await self._submit(decide, principal, known_as)

    async def _submit(
        self, decide: Callable[[], Txn | Submitted], principal: str, known_as: _Identity
    ) -> Submitted:
        done = await self._writer.write(
            decide, owner=principal, key=known_as.key, job_id=known_as.job_id
        )
        if isinstance(done, Submitted):
            return done
        return Submitted(known_as.job_id, False, known_as.key, done)

    def _identify(self, key: str | None, principal: str, now_ms: int) -> _Identity:
        """A minted key is the job's id and needs no record. Any other key is the client's own.

        An id is taken as minted while its job is here, however old it is; else its age is bounded.
        """
        if key is None:
            minted = self._new_id()
            return _Identity(minted, minted, [])
        if is_id(key):
            young = abs(id_time_ms(key) - now_ms) <= _MINTED_WITHIN_MS
            if self._state.get(keys.job(key)) is not None:
                return _Identity(key, key, [])
            if young and buckets.is_closed(self._state, key):
                raise Conflict(
                    f"the idempotency key {key} is of a time in which no job is accepted any more",
                    remedy="its job may have been deleted; take a new key to run it anew",
                )
            if young:
                return _Identity(key, key, [])
        use = KeyUse(principal, hash_key(key), limits.IDEMPOTENCY_TTL_S * 1000)
        return _Identity(self._new_id(), key, [use])

    def _replay(self, known_as: _Identity, body_hash: str, now_ms: int) -> Submitted | None:
        """Return what a key made before. Raises IdempotencyMismatch for another body.

        A spec's own key says that the work is the same, whatever else the spec says.
        """
        entry = self._state.get(keys.job(known_as.job_id))
        if entry is not None:
            check_body(known_as.key, entry.noun.body_hash, body_hash)
            return Submitted(known_as.job_id, True, known_as.key, entry.revision)
        for use in known_as.uses:
            held = self._state.get(keys.idempotency(use.owner, use.key_hash))
            if held is not None and held.noun.expires_ms > now_ms:
                if use.owner != "spec":
                    check_body(known_as.key, held.noun.body_hash, body_hash)
                return Submitted(held.noun.made, True, known_as.key, held.revision)
        return None
