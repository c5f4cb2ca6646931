"""The transaction of one advance while it grows, and the run as it will be after it.

A run advances in transactions of bounded size: what does not fit is found by the next one, which
begins from the state that this one leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors import limits
from actors.core.dag.definition import Plan
from actors.core.dag.spans import run_span
from actors.core.dag.standing import Census, Standing
from actors.core.dag.values import Values
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.run import STEP_TERMINAL, Run, Step

__all__ = ["Draft", "run_event"]

_WORDS = {"succeeded": "completed", "running": "started"}


class Draft:
    """Collects checks, ops and events; `steps` and `members` are ahead of the view by them."""

    def __init__(
        self,
        view: View,
        run_id: str,
        plan: Plan,
        standing: Standing,
        *,
        now_ms: int,
        new_id: Callable[[], str],
    ) -> None:
        entry = view.get(keys.run(run_id))
        assert entry is not None, "the caller has seen the run in this view"
        self.view = view
        self.run_id = run_id
        self.run: Run = entry.noun
        self.plan = plan
        self.now_ms = now_ms
        self.new_id = new_id
        self.steps: dict[str, Step] = dict(standing.steps)
        self._standing = standing
        self._members: dict[str, Census] = {}
        self._revision = entry.revision
        self._checks: dict[Check, None] = {}
        self._ops: dict[str, bytes | None] = {}
        self._events: list[EventDraft] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the rest is for the next transaction."""
        return len(self._ops) >= limits.ADVANCE_OPS or self._bytes >= limits.ADVANCE_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether nothing was decided."""
        return not self._ops

    def census(self, name: str) -> Census:
        """The members of a mapped step, to be counted on with."""
        if name not in self._members:
            known = self._standing.members.get(name)
            self._members[name] = known.copy() if known is not None else Census()
        return self._members[name]

    def values(self, state: str = "") -> Values:
        """What the run's names stand for now; `state` is what the run comes to so far."""
        return Values(self.view, self.run_id, self.run, self.plan, self.steps, state)

    def has_ended(self, name: str) -> bool:
        """Say whether a step has ended."""
        step = self.steps.get(name)
        return step is not None and step.state in STEP_TERMINAL

    # -- what is decided

    def put_step(self, name: str, step: Step, index: int | None = None) -> None:
        """Put the record of a step, or of a member, under a check of what it was."""
        key = keys.step(self.run_id, name, index)
        entry = self.view.get(key)
        self._checks[absent(key) if entry is None else at(key, entry.revision)] = None
        self._add(key, encode(step))
        if index is None:
            self.steps[name] = step
        else:
            census = self.census(name)
            census.take(index, census.open.get(index), step)
        self._events.append(self._step_event(name, step, index))

    def put_run(self, run: Run, word: str = "") -> None:
        """Put the run itself, and tell of it."""
        self.run = run
        self._add(keys.run(self.run_id), encode(run))
        if word:
            more = {"reason": run.reason} if run.reason else {}
            self._events.append(run_event(word, self.run_id, run, **more))

    def merge(self, txn: Txn) -> None:
        """Have what another decision would do done by this one."""
        self._checks.update(dict.fromkeys(txn.checks))
        for key, value in txn.ops:
            self._add(key, value)
        self._events.extend(txn.events)

    def take(self, key: str, noun: object) -> None:
        """Put something that nobody has."""
        self._checks[absent(key)] = None
        self._add(key, encode(noun))

    def delete(self, key: str) -> None:
        """Delete a key."""
        self._add(key, None)

    def txn(self) -> Txn:
        """The transaction: all of it rests on the run as it was, so that a stop wins over it."""
        checks = (at(keys.run(self.run_id), self._revision), *self._checks)
        ops: tuple[Op, ...] = tuple(self._ops.items())
        return Txn(tuple(checks), ops, tuple(self._events), self.now_ms)

    def _add(self, key: str, value: bytes | None) -> None:
        self._ops[key] = value
        self._bytes += len(key) + len(value or b"")

    def _step_event(self, name: str, step: Step, index: int | None) -> EventDraft:
        data: dict[str, Any] = {"run": self.run_id, "pipeline": self.run.pipeline, "step": name}
        if index is not None:
            data["index"] = index
        about = {"job": step.job, "child": step.run, "reason": step.reason, "reused": step.reused}
        data |= {key: value for key, value in about.items() if value}
        word = _WORDS.get(step.state, step.state)
        trace = run_span(self.run_id, self.run.trace).traceparent
        return EventDraft(f"jobd:step:{word}", keys.run(self.run_id), data, trace)


def run_event(word: str, run_id: str, run: Run, **data: object) -> EventDraft:
    """An event of a run, about `run/<id>`."""
    return EventDraft(
        f"jobd:pipeline:{word}",
        keys.run(run_id),
        {"run": run_id, "pipeline": run.pipeline, "state": run.state, **data},
        run_span(run_id, run.trace).traceparent,
    )
