"""Compare the store with the job supervisor for one attempt of this node (R4).

Rules of this file:
L1  Level-triggered: at each nudge, not only at boot, from a view at or above the node's session.
L2  What the store shows and the supervisor of the same instance does not know was never spawned:
    start it; or, when it is to stop, kill it, which registers it as killed, so that a start under
    way finds that. Nothing ends here without the supervisor's record of it (I-o).
L3  What a dead instance held ends with its exit record, or is lost once its processes are ended, by
    this node alone (I-n).
L4  The supervisor forgets an attempt only when an exit is recorded and the feed shows it gone.
L5  A node that drains ends what is to end for that, as it does what is to stop.
L6  A node that is cut off starts nothing, and ends what asks for it (`on_isolation: stop`).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from actors.core.job.finish import Ending
from actors.core.job.work import load
from actors.core.node_state import drain_ends
from actors.core.view import View
from actors.model import keys

__all__ = [
    "DRAINED",
    "ISOLATED",
    "Ack",
    "Finish",
    "Held",
    "Kill",
    "Leave",
    "ReportLost",
    "SlotAction",
    "Start",
    "slot_action",
]

# Reasons of a kill that nobody asked of the job itself.
DRAINED: Final = "drained"
ISOLATED: Final = "isolated"


class Held(NamedTuple):
    """What the job supervisor says of an attempt; `ending` once it exited."""

    phase: Literal["registered", "running", "exited"]
    ending: Ending | None = None


class Start(NamedTuple):
    """Send `start`; it is idempotent by attempt."""


class Leave(NamedTuple):
    """It runs as it should, or there is nothing of it on either side."""


class Kill(NamedTuple):
    """Send `kill`; what follows comes with the exit record."""

    reason: str


class Finish(NamedTuple):
    """Submit the finish transaction of this ending."""

    ending: Ending


class Ack(NamedTuple):
    """Send `ack`: the exit is recorded and the attempt is gone from the store."""


class ReportLost(NamedTuple):
    """End what still runs of its tree, then submit `lost_by_own_node`."""


SlotAction = Start | Leave | Kill | Finish | Ack | ReportLost


def slot_action(
    view: View,
    attempt_key: str,
    held: Held | None,
    instance: str,
    *,
    now_ms: int,
    is_cut_off: bool = False,
) -> SlotAction:
    """Return what this node does about an attempt that the store or its supervisor shows.

    `held` is the supervisor's word, None when it does not know the attempt: it includes the exit
    records that a dead instance left. `instance` is the supervisor that runs now.
    """
    entry = view.get(attempt_key)
    if entry is None:
        if held is None:
            return Leave()
        return Ack() if held.phase == "exited" else Kill("superseded")
    if held is not None and held.ending is not None:
        return Finish(held.ending)
    if held is None and entry.noun.supervisor != instance:
        return ReportLost()
    job_id, index, _ = keys.attempt_parts(attempt_key)
    work = load(view, job_id, index)
    assert work is not None, "an attempt has its job and spec (I-h)"
    if work.stopping:
        return Kill(work.job.cancel_reason or "stop")
    if is_cut_off:
        stop = held is not None and work.spec.on_isolation == "stop"
        return Kill(ISOLATED) if stop else Leave()
    if drain_ends(view, entry.noun.node, now_ms):
        return Kill(DRAINED)
    return Start() if held is None else Leave()
