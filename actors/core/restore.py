"""Beginning anew, from a backup or from one node: nothing that was issued is issued again.

Rules of this file:
B1  The revision leaps by LEAP and stays below CEILING. A fence, an ETag or an event's id that the
    old cluster issued after the backup is below whatever the restored one will issue.
B2  The restored cluster has another id, and its node too: no node of the old one returns to it.
B3  So every session that was up is lost as of the backup, and its attempts are lost by the rule
    of lost nodes (R5), each under its own spec. Attempt numbers go on (R3).
B4  The sealing keys that were wrapped for the node are wrapped for it under its new id.
B5  The first events behind the leap tell of it: whoever resumes an event stream learns that what
    came after the backup never happened here.
B6  A node that goes on alone (the quorum is lost for good) keeps its id, its session and its
    attempts; the sessions of all others are lost. B1, B2 for the cluster and B5 hold as above.
B7  What nodes of the old cluster said of themselves goes: nobody dials them any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actors.core.session import end_session
from actors.core.store.txn import Op, Txn
from actors.core.view import View
from actors.errors import Conflict
from actors.model import keys
from actors.model.event import EventDraft

__all__ = ["CEILING", "LEAP", "forced_txns", "leaped", "starting_txns"]

LEAP: Final = 1 << 32  # more commits than a cluster makes between a backup and its own end
CEILING: Final = 1 << 53  # JSON numbers are exact below it


def leaped(revision: int) -> int:
    """Return the revision to begin at (B1). Raises Conflict above the ceiling."""
    if revision + 2 * LEAP > CEILING:
        raise Conflict(
            f"revision {revision} can't leap by {LEAP} below {CEILING}",
            remedy="export the state (`jobctl store export`) and import what you need of it",
        )
    return revision + LEAP


def starting_txns(
    view: View, *, cluster: str, backup: int, made_ms: int, now_ms: int, sealing: tuple[Op, ...]
) -> list[Txn]:
    """Return the first transactions of a restored state (B3 to B5).

    `cluster` is the old cluster's id, `backup` the revision of the backup, `sealing` what
    `sealing.rewrapped` says.
    """
    data = {"cluster": cluster, "revision": backup}
    told = EventDraft("jobd:cluster:restored", "cluster", data)
    ops = (*sealing, *_records(view))
    return [*_losses(view, made_ms), Txn((), ops, (told,), now_ms=now_ms)]


def forced_txns(
    view: View, *, node: str, old: str, cluster: str, revision: int, now_ms: int
) -> list[Txn]:
    """Return the first transactions of a node that goes on alone (B6).

    `old` and `cluster` are the ids of the cluster before and now, `revision` what was applied last.
    """
    data = {"cluster": old, "new_cluster": cluster, "node": node, "revision": revision}
    told = EventDraft("jobd:cluster:forced", "cluster", data)
    ops = tuple(_records(view, but=node))
    return [*_losses(view, now_ms, but=node), Txn((), ops, (told,), now_ms=now_ms)]


def _records(view: View, but: str = "") -> Iterator[Op]:
    for key, _ in view.scan("node/"):
        if keys.last(key) != but:
            yield key, None


def _losses(view: View, made_ms: int, but: str = "") -> Iterator[Txn]:
    for key, _ in view.scan(keys.session("")):
        node = keys.last(key)
        lost = end_session(view, node, "lost", made_ms) if node != but else None
        if lost is not None:
            yield lost
