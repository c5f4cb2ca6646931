"""The state machines of job, task and attempt as tables, and the one function that moves a record.

Rules of this file:
S1  A record changes its state only through `move`, which asserts that its table has that row.
S2  Terminal is terminal: no row leaves a terminal state.
S3  Rows that lead back to `scheduled`, `waiting` or `pending` are taken only while nothing asked
    the record to stop; `after_attempt` sees to that, the model checker checks it (I-f).

`docs/internals/job-lifecycle.md` is generated from these tables.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from actors.model.job import Job, JobState, Progress, Task

__all__ = ["ATTEMPT", "JOB", "NEW", "TASK", "Transition", "first", "move", "rows"]

NEW: Final = "new"  # the state of a record that is not there yet


class Transition(NamedTuple):
    """One row: in this state, by this cause, to that state."""

    source: str
    cause: str
    target: str


def rows(table: str) -> tuple[Transition, ...]:
    """Read `sources cause targets` lines, alternatives separated by `|`."""
    return tuple(
        Transition(source, cause, target)
        for line in table.strip().splitlines()
        for sources, cause, targets in [line.split()]
        for source in sources.split("|")
        for target in targets.split("|")
    )


JOB: Final = rows("""
    new                        accept   scheduled|waiting|pending|running
    scheduled                  due      waiting|pending
    waiting                    admit    pending
    waiting|pending            limit    cancelled|failed
    pending                    claim    running
    pending                    fan_out  running
    pending                    retry    scheduled
    running                    succeed  succeeded
    running                    fail     failed
    running                    retry    scheduled
    running                    requeue  pending
    running                    cancel   cancelled
    running                    timeout  failed
    running                    expire   expired
    scheduled|waiting|pending  cancel   cancelled
    scheduled|waiting|pending  timeout  failed
    scheduled|waiting|pending  expire   expired
""")

TASK: Final = rows("""
    new                fan_out  pending
    scheduled          due      pending
    pending            claim    running
    pending            retry    scheduled
    pending            timeout  failed
    running            succeed  succeeded
    running            fail     failed
    running            retry    scheduled
    running            requeue  pending
    running            cancel   cancelled
    scheduled|pending  cancel   cancelled
""")

# An attempt's key is there while it runs; what became of it stands in the summary of its record.
ATTEMPT: Final = rows("""
    new      claim    running
    running  exit     succeeded|failed
    running  kill     cancelled|preempted
    running  loss     lost
""")

_ALLOWED: Final[dict[type[Progress], frozenset[Transition]]] = {
    Job: frozenset(JOB),
    Task: frozenset(TASK),
}
_Record = TypeVar("_Record", bound=Progress)


def first(noun: type[Progress], cause: str, state: JobState) -> JobState:
    """Return the state that a new record begins in. An illegal one is a bug and asserts."""
    assert Transition(NEW, cause, state) in _ALLOWED[noun], f"no {noun.__name__} begins {state}"
    return state


def move(record: _Record, cause: str, target: JobState, *, now_ms: int, **changes: Any) -> _Record:
    """Return the record in its next state. An illegal transition is a bug and asserts (S1)."""
    step = Transition(record.state, cause, target)
    assert step in _ALLOWED[type(record)], f"no {type(record).__name__} does this: {step}"
    return msgspec.structs.replace(record, state=target, since_ms=now_ms, **changes)
