"""The job lifecycle as pure decisions: (view, ids, time) -> one conditional transaction, or None.

Every function reads only its view, so two nodes with the same view reach the same decision, and
names in its checks the revisions that it was based on; the store arbitrates. Nothing here submits,
waits or remembers. `docs/internals/job-lifecycle.md` has the state tables, the rules R1-R11 and the
invariants I-a to I-s that the model checker (`tests/sim/jobs`) holds these functions to.
"""

from actors.core.job.accept import KeyUse, accept, first_due_ms, first_state, retry_job
from actors.core.job.cancel import cancel
from actors.core.job.claim import Claimant, Wait, claim
from actors.core.job.due import due, due_at
from actors.core.job.evict import Retention, evict, held_by
from actors.core.job.finish import (
    Ending,
    after_attempt,
    finish,
    lose,
    loss_due_at,
    lost_by_own_node,
)
from actors.core.job.late import superseded
from actors.core.job.slot import (
    Ack,
    Finish,
    Held,
    Kill,
    Leave,
    ReportLost,
    SlotAction,
    Start,
    slot_action,
)
from actors.core.job.spans import attempt_span, job_span
from actors.core.job.states import ATTEMPT, JOB, TASK, Transition

__all__ = [
    "ATTEMPT",
    "JOB",
    "TASK",
    "Ack",
    "Claimant",
    "Ending",
    "Finish",
    "Held",
    "KeyUse",
    "Kill",
    "Leave",
    "ReportLost",
    "Retention",
    "SlotAction",
    "Start",
    "Transition",
    "Wait",
    "accept",
    "after_attempt",
    "attempt_span",
    "cancel",
    "claim",
    "due",
    "due_at",
    "evict",
    "finish",
    "first_due_ms",
    "first_state",
    "held_by",
    "job_span",
    "lose",
    "loss_due_at",
    "lost_by_own_node",
    "retry_job",
    "slot_action",
    "superseded",
]
