"""Answer a gate: at(step), so that one of two answers, or of an answer and a timeout, counts.

Of a run that was asked to end a gate may be answered still: one of `finally` waits for that.
"""

from __future__ import annotations

import msgspec

from actors.core.dag.draft import run_event
from actors.core.dag.states import move_step
from actors.core.job.work import brief
from actors.core.store.txn import Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.run import RUN_TERMINAL, StepState

__all__ = ["answer_gate"]


def answer_gate(
    view: View, run_id: str, name: str, *, approve: bool, by: str, comment: str, now_ms: int
) -> Txn | None:
    """Return the transaction that answers a gate, None when it waits for no answer (any more)."""
    key = keys.step(run_id, name)
    run, step = view.get(keys.run(run_id)), view.get(key)
    if run is None or run.noun.state in RUN_TERMINAL:
        return None
    if step is None or step.noun.state != "waiting":
        return None
    cause, word = ("approve", "approved") if approve else ("reject", "rejected")
    target: StepState = "succeeded" if approve else "failed"
    answered = move_step(
        step.noun,
        cause,
        target,
        now_ms=now_ms,
        reason=word,
        detail=brief(comment),
        due_ms=0,
        by=by or "local",
    )
    told = run_event(word, run_id, run.noun, step=name, by=answered.by)
    event = msgspec.structs.replace(told, type=f"jobd:step:{word}")
    checks = (at(keys.run(run_id), run.revision), at(key, step.revision))
    return Txn(checks, ((key, encode(answered)),), (event,), now_ms)
