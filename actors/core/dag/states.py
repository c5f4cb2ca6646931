"""The state machines of run and step as tables, and the one function that moves a record.

Rules of this file:
S1  A record changes its state only through `move`, which asserts that its table has that row.
S2  Terminal is terminal: no row leaves a terminal state.

`docs/internals/pipelines.md` shows these tables.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from actors.core.job.states import NEW, Transition, rows
from actors.model.run import Run, RunState, Step, StepState

__all__ = ["RUN", "STEP", "first_run", "first_step", "move_run", "move_step"]

RUN: Final = rows("""
    new      trigger  pending
    pending  begin    running
    pending  limit    cancelled|failed
    pending  cancel   cancelled
    pending  timeout  failed
    pending  spec     failed
    running  end      succeeded|succeeded_with_warnings|failed|cancelled
""")

# A step that waits for others has no record: `new` is where it is until it is decided.
STEP: Final = rows("""
    new      start    running
    new      gate     waiting
    new      reuse    succeeded|skipped|failed
    new      spec     failed
    new      skip     skipped
    new      omit     omitted
    new      cancel   cancelled
    new      empty    succeeded
    running  finish   succeeded|failed|cancelled
    waiting  approve  succeeded
    waiting  reject   failed
    waiting  timeout  succeeded|failed
    waiting  cancel   cancelled
""")

_ALLOWED: Final[dict[type[Any], frozenset[Transition]]] = {
    Run: frozenset(RUN),
    Step: frozenset(STEP),
}
_Record = TypeVar("_Record", Run, Step)


def first_run(cause: str, state: RunState) -> RunState:
    """Return the state that a run begins in. An illegal one is a bug and asserts."""
    assert Transition(NEW, cause, state) in _ALLOWED[Run], f"no run begins {state}"
    return state


def first_step(cause: str, state: StepState) -> StepState:
    """Return the state that a step's record begins in. An illegal one is a bug and asserts."""
    assert Transition(NEW, cause, state) in _ALLOWED[Step], f"no step begins {state} by {cause}"
    return state


def move_run(record: Run, cause: str, target: RunState, *, now_ms: int, **changes: Any) -> Run:
    """Return the run in its next state. An illegal transition is a bug and asserts (S1)."""
    return _move(record, cause, target, now_ms=now_ms, **changes)


def move_step(record: Step, cause: str, target: StepState, *, now_ms: int, **changes: Any) -> Step:
    """Return the step in its next state. An illegal transition is a bug and asserts (S1)."""
    return _move(record, cause, target, now_ms=now_ms, **changes)


def _move(record: _Record, cause: str, target: str, *, now_ms: int, **changes: Any) -> _Record:
    step = Transition(record.state, cause, target)
    assert step in _ALLOWED[type(record)], f"no {type(record).__name__} does this: {step}"
    return msgspec.structs.replace(record, state=target, since_ms=now_ms, **changes)
