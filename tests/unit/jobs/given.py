"""A store with jobs in given states, for tests of the decisions."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core import job, session
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn, at
from actors.model import keys
from actors.model.codec import encode
from actors.model.ids import make_id
from actors.model.spec import JobSpec

__all__ = ["NODE", "NOW", "Given"]

NOW = 1_700_000_000_000
NODE = "n0"


class Given:
    """One node with a session; every step is a product decision, committed or the test fails."""

    def __init__(self) -> None:
        self.state = State()
        self.now = NOW
        self.minted = 0
        self.commit(session.open_session(self.state, NODE, 1, "first", self.now))
        self.session = self.state.revision

    def commit(self, txn: Txn | job.Wait | None) -> list[str]:
        """Apply a transaction that must commit; return the types of its events."""
        assert isinstance(txn, Txn), f"no transaction: {txn}"
        self.state.take_events()
        assert isinstance(self.state.apply(txn), Committed)
        return [event.type for event in self.state.take_events()]

    def conflicts(self, txn: Txn | job.Wait | None) -> bool:
        assert isinstance(txn, Txn), f"no transaction: {txn}"
        return not isinstance(self.state.apply(txn), Committed)

    def accept(self, **spec: Any) -> str:
        """Accept a command job; return its id."""
        self.minted += 1
        job_id = make_id(self.now, self.minted)
        wanted = JobSpec(name="work", type="command", **spec)
        self.commit(
            job.accept(self.state, wanted, job_id, now_ms=self.now, principal="t1", body_hash="b")
        )
        return job_id

    def claim(self, job_id: str, index: int = 0, **who: Any) -> str:
        """Claim the next attempt; return its key."""
        work = self.record(job_id, index)
        self.commit(self.try_claim(job_id, index, **who))
        return keys.attempt(job_id, index, work.n + 1)

    def try_claim(self, job_id: str, index: int = 0, **who: Any) -> Txn | job.Wait:
        claimant: dict[str, Any] = {
            "node": NODE,
            "session_revision": self.session,
            "slot": 0,
            "supervisor": "s1",
        } | who
        return job.claim(self.state, job_id, index, now_ms=self.now, **claimant)

    def finish(
        self, attempt: str, outcome: Any = "succeeded", reason: str = "exit", **more: Any
    ) -> list[str]:
        ending = job.Ending(outcome, reason, **more)
        return self.commit(job.finish(self.state, attempt, ending, now_ms=self.now, rand=0.5))

    def due(self, key: str) -> list[str]:
        """Go to the moment that an entity is due at, and commit what is due."""
        due_ms = job.due_at(self.state, key)
        assert due_ms is not None
        self.now = max(self.now, due_ms)
        return self.commit(job.due(self.state, key, now_ms=self.now, rand=0.5))

    def lose_node(self) -> None:
        self.commit(session.end_session(self.state, NODE, "lost", self.now))

    def record(self, job_id: str, index: int = 0) -> Any:
        """The task's record of a fan-out that has it, else the job's."""
        entry = self.state.get(keys.task(job_id, index)) or self.state.get(keys.job(job_id))
        assert entry is not None
        return entry.noun

    def job(self, job_id: str) -> Any:
        entry = self.state.get(keys.job(job_id))
        assert entry is not None
        return entry.noun

    def put_job(self, job_id: str, **changes: Any) -> None:
        """Change a job's record past the decisions."""
        entry = self.state.get(keys.job(job_id))
        assert entry is not None
        value = encode(msgspec.structs.replace(entry.noun, **changes))
        key = keys.job(job_id)
        self.commit(Txn((at(key, entry.revision),), ((key, value),)))
