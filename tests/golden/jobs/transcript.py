"""Transcripts of decisions: each transaction's checks, changes and events, in a reader's form.

`python -m tests.golden.jobs.transcript` writes the golden files anew. Commit them only if you
understand what changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.core import job, node_state, session, task_set
from actors.core.store.txn import ABSENT, Txn
from actors.model import keys
from actors.model.codec import decode
from actors.model.spec import Concurrency, NodeLost, Retry, Trigger
from tests.unit.jobs.given import NOW, Given

__all__ = ["SCENARIOS", "golden", "transcript"]


class Recorder(Given):
    """Writes down what it commits; ids read as j1, j2, ..., times as ms from the start."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__()

    def commit(self, txn: Txn | job.Wait | None) -> list[str]:
        before = {key: self.state.get(key) for key, _ in txn.ops} if isinstance(txn, Txn) else {}
        events = super().commit(txn)
        assert isinstance(txn, Txn)
        self.lines.append(f"r{self.state.revision} at {self.now - NOW} ms")
        self.lines += [f"  if   {self._check(*check)}" for check in txn.checks]
        for key, value in txn.ops:
            old = before[key]
            self.lines.append(f"  then {self._op(key, value, old.noun if old else None)}")
        for draft in txn.events:
            told = " ".join(f"{name}={self._value(value)}" for name, value in draft.data.items())
            self.lines.append(f"  emit {draft.type} {told}")
        return events

    def note(self, text: str) -> None:
        self.lines.append(f"# {text}")

    def refused(self, what: str, answer: Any) -> None:
        if isinstance(answer, Txn):
            assert self.conflicts(answer)
            answer = "Conflict"
        self.lines.append(f"{what}: {answer}")

    def _check(self, key: str, revision: int) -> str:
        return (
            f"{self._name(key)} absent"
            if revision == ABSENT
            else f"{self._name(key)} at r{revision}"
        )

    def _op(self, key: str, value: bytes | None, old: Any) -> str:
        name = self._name(key)
        if value is None:
            return f"delete {name}"
        noun = decode(keys.kind(key), value)
        if not isinstance(noun, msgspec.Struct):
            return f"put {name} {noun}"
        if keys.kind(key) == "spec":
            return f"put {name}"
        fields = {field: getattr(noun, field) for field in noun.__struct_fields__}
        if type(old) is type(noun):
            fields = {field: v for field, v in fields.items() if v != getattr(old, field)}
        else:
            unset = {f.name: f.default for f in msgspec.structs.fields(noun)}
            fields = {field: v for field, v in fields.items() if v and v != unset[field]}
        told = " ".join(f"{field}={self._value(v)}" for field, v in fields.items())
        return f"{'change' if old is not None else 'put'} {name} {told}"

    def _value(self, value: Any) -> str:
        if isinstance(value, int) and value >= NOW:
            return f"+{value - NOW}"
        if isinstance(value, tuple) and value and hasattr(value[-1], "outcome"):
            return "[" + ", ".join(f"#{s.n} {s.outcome} {s.reason}" for s in value) + "]"
        if isinstance(value, tuple):
            return "[" + ", ".join(self._value(item) for item in value) + "]"
        return self._name(str(value)) if value != "" else "''"

    def _name(self, text: str) -> str:
        for number in range(self.minted + 1):
            text = text.replace(f"01hf7yat00{number:016d}", f"j{number}")
        return text


def _plain(given: Recorder) -> None:
    given.note("a job fails once, is tried again, succeeds, and is evicted")
    job_id = given.accept(retry=Retry(2, "constant", 1000, jitter="none"))
    given.finish(given.claim(job_id), "failed", exit_code=1)
    given.due(keys.job(job_id))
    given.finish(given.claim(job_id), exit_code=0)
    given.now = NOW + 3_600_000
    given.note("first its bucket is closed, then it goes")
    for _ in range(2):
        given.commit(job.evict(given.state, [job_id], now_ms=given.now))


def _cancel(given: Recorder) -> None:
    given.note("cancelled while it waits for its time")
    given.commit(
        job.cancel(given.state, given.accept(trigger=Trigger(delay_ms=60)), "user", given.now)
    )
    given.note("cancelled while it runs: the flag, then what its slot does, then its end")
    job_id = given.accept(retry=Retry(3))
    attempt = given.claim(job_id)
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    held = job.Held("running")
    given.refused("slot", job.slot_action(given.state, attempt, held, "s1", now_ms=given.now))
    given.refused("cancel again", job.cancel(given.state, job_id, "user", given.now))
    given.finish(attempt, "cancelled", "killed", signal=15)


def _loss(given: Recorder) -> None:
    given.note("a node is lost by mistake; its attempt is requeued; its own finish comes late")
    job_id = given.accept(node_lost=NodeLost(2000, "requeue"))
    attempt = given.claim(job_id)
    ending = job.Ending("succeeded", "exit", 0)
    late = job.finish(given.state, attempt, ending, now_ms=given.now, rand=0)
    given.lose_node()
    given.refused(
        "lose before its wait is over", job.lose(given.state, attempt, now_ms=NOW, rand=0)
    )
    given.due(attempt)
    given.refused("the late finish", late)
    given.note("the node comes back with a new session and runs the next attempt")
    given.commit(session.open_session(given.state, "n0", 2, "first", given.now))
    given.session = given.state.revision
    given.refused(
        "slot",
        job.slot_action(given.state, attempt, job.Held("exited", ending), "s1", now_ms=given.now),
    )
    given.note("but first it tells the late result")
    result = ending._replace(outcome="superseded")
    given.commit(
        job.superseded(given.state, attempt, result, node="n0", now_ms=given.now),
    )
    given.finish(given.claim(job_id))


def _drain(given: Recorder) -> None:
    given.note("a node drains: what runs may finish for a second, then starts anew elsewhere")
    job_id = given.accept()
    attempt = given.claim(job_id)
    held = job.Held("running")
    txn = node_state.drain(given.state, "n0", "finish", by_ms=NOW + 1000, now_ms=given.now)
    given.commit(txn)
    given.refused("slot", job.slot_action(given.state, attempt, held, "s1", now_ms=given.now))
    given.now += 1000
    given.refused("slot", job.slot_action(given.state, attempt, held, "s1", now_ms=given.now))
    given.finish(attempt, "preempted", "drained", signal=15)
    given.note("it takes work again, and the drain is over")
    given.commit(node_state.uncordon(given.state, "n0", now_ms=given.now))


def _fan_out(given: Recorder) -> None:
    given.note("three tasks, two at a time, one may fail")
    job_id = given.accept(tasks=3, parallelism=2, min_success=2)
    for index, outcome in enumerate(("failed", "succeeded", "succeeded")):
        txn = task_set.advance(given.state, job_id, given.now)
        if txn is not None:
            given.commit(txn)
        given.finish(given.claim(job_id, index), outcome)
    given.commit(task_set.advance(given.state, job_id, given.now))


def _key(given: Recorder) -> None:
    given.note("two jobs of one key: the second waits until the permit is free")
    key = (Concurrency("db", 1),)
    attempt = given.claim(given.accept(concurrency=key))
    second = given.accept(concurrency=key)
    given.refused("claim", given.try_claim(second))
    given.refused("due", job.due(given.state, keys.job(second), now_ms=given.now, rand=0))
    given.finish(attempt)
    given.due(keys.job(second))
    given.claim(second)


SCENARIOS: dict[str, Callable[[Recorder], None]] = {
    "cancel": _cancel,
    "concurrency_key": _key,
    "drain": _drain,
    "fan_out": _fan_out,
    "node_lost": _loss,
    "plain": _plain,
}


def transcript(name: str) -> str:
    """Play a scenario; return its transcript."""
    recorder = Recorder()
    SCENARIOS[name](recorder)
    return "\n".join(recorder.lines) + "\n"


def golden(name: str) -> Path:
    """The golden file of a scenario."""
    return Path(__file__).with_name(f"{name}.txt")


if __name__ == "__main__":
    for scenario in SCENARIOS:
        golden(scenario).write_text(transcript(scenario))
