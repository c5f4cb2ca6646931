"""Ask for the end of a run: the decision of any node, or of the run itself when its time is over.

Rules of this file:
E1  at(run): who asks sees the run that he ends. `stop_ms` is never unset.
E2  A second request, while the steps of `finally` run, asks for their end as well.
E3  A run that has not begun ends by its next advance, without any step.
"""

from __future__ import annotations

import msgspec

from actors.core.job.work import brief
from actors.core.store.txn import Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.run import RUN_TERMINAL, Run

__all__ = ["TIMEOUT", "asked_to_stop", "stop"]

TIMEOUT = "timeout"


def asked_to_stop(run: Run, reason: str, now_ms: int) -> Run | None:
    """Return a run that was asked to end, None when there is nothing left to ask for."""
    if run.state in RUN_TERMINAL or run.stop_finally:
        return None
    if run.stop_ms:
        return msgspec.structs.replace(run, stop_finally=True)
    return msgspec.structs.replace(run, stop_ms=now_ms, stop_reason=brief(reason) or "cancelled")


def stop(view: View, run_id: str, reason: str, now_ms: int, *, again: bool = False) -> Txn | None:
    """Return the transaction that asks for a run's end, None when there is nothing to ask for.

    Only with `again` a second request counts.
    """
    key = keys.run(run_id)
    entry = view.get(key)
    if entry is None or (entry.noun.stop_ms and not again):
        return None
    asked = asked_to_stop(entry.noun, reason, now_ms)
    if asked is None:
        return None
    return Txn((at(key, entry.revision),), ((key, encode(asked)),), now_ms=now_ms)
