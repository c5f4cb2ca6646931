"""Who leads recovery, said once: `jobd:leader:changed` comes with a change of `cluster/leader`.

Consensus needs no leader: each node believes by itself who starts recoveries (`FailureDetector`).
The record is what the cluster is told of it. The new leader puts it, when a majority agrees that
it leads, at the revision that names the one before: so one change is one event, however many nodes
saw it come and however often it was proposed.
"""

from __future__ import annotations

from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.leader import Leader

__all__ = ["take_lead"]


def take_lead(view: View, node: str, now_ms: int) -> Txn | None:
    """Return the transaction that names this node the leader, None when it is named already."""
    key = keys.cluster("leader")
    entry = view.get(key)
    before = entry.noun.node if entry is not None else ""
    if before == node:
        return None
    data = {"node": node, "before": before}
    return Txn(
        checks=(absent(key) if entry is None else at(key, entry.revision),),
        ops=((key, encode(Leader(node, now_ms))),),
        events=(EventDraft("jobd:leader:changed", key, data),),
        now_ms=now_ms,
    )
