"""Beginning anew from a backup: what a restored state must be, so that nothing is issued twice.

Rules of this file:
B1  The revision leaps by LEAP and stays below CEILING. A fence, an ETag or an event's id that the
    old cluster issued after the backup is below whatever the restored one will issue.
B2  The restored cluster has another id, and its node too: no node of the old one returns to it.
B3  So every session that was up is lost as of the backup, and its attempts are lost by the rule
    of lost nodes (R5), each under its own spec. Attempt numbers go on (R3).
B4  The sealing keys that were wrapped for the node are wrapped for it under its new id.
B5  The first events behind the leap tell of it: whoever resumes an event stream learns that what
    came after the backup never happened here.
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

__all__ = ["CEILING", "LEAP", "leaped", "starting_txns"]

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
    return [*_losses(view, made_ms), Txn((), sealing, (told,), now_ms=now_ms)]


def _losses(view: View, made_ms: int) -> Iterator[Txn]:
    for key, _ in view.scan(keys.session("")):
        lost = end_session(view, keys.last(key), "lost", made_ms)
        if lost is not None:
            yield lost
