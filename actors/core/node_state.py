"""Cordon and drain: decisions of any door over `node/<id>`, carried out by that node itself.

Rules of this file:
N1  A cordoned node claims nothing; what runs there goes on. A drain cordons.
N2  A drain of mode `finish` waits for what runs; `requeue` ends it, as if preempted: it starts anew
    elsewhere, and no failure is counted. At its deadline `finish` goes on as `requeue`.
N3  A drain lasts until the node is uncordoned, also over restarts of it. It is done when the store
    shows no attempt of the node.
N4  A node that describes itself keeps what operators have put.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.errors import NotFound
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.node import NodeRecord

__all__ = [
    "DrainMode",
    "cordon",
    "describe",
    "drain",
    "drain_ends",
    "running_on",
    "uncordon",
]

DrainMode = Literal["finish", "requeue"]


def cordon(view: View, node: str, *, now_ms: int) -> Txn | None:
    """Return the transaction after which a node takes nothing new; None when it is so already.

    This and the next two raise NotFound for a node that the store does not know.
    """
    return _change(view, node, now_ms, cordoned=True)


def uncordon(view: View, node: str, *, now_ms: int) -> Txn | None:
    """Let a node take work again; a drain of it ends."""
    return _change(view, node, now_ms, cordoned=False, drain="", drain_by_ms=0)


def drain(view: View, node: str, mode: DrainMode, *, by_ms: int, now_ms: int) -> Txn | None:
    """Cordon a node and have what runs there finish, or end and start elsewhere (N2).

    `by_ms` is the deadline in Unix milliseconds, 0 for none.
    """
    txn = _change(view, node, now_ms, cordoned=True, drain=mode, drain_by_ms=by_ms)
    if txn is None:
        return None
    told = {"node": node, "name": _record(view, node).name, "mode": mode, "by_ms": by_ms}
    event = EventDraft("jobd:node:draining", keys.node(node), told)
    return msgspec.structs.replace(txn, events=(event,))


def describe(view: View, node: str, said: NodeRecord, *, now_ms: int) -> Txn | None:
    """Return the transaction by which a node says what it is now, None when that is known (N4)."""
    entry = view.get(keys.node(node))
    if entry is not None:
        kept: NodeRecord = entry.noun
        said = msgspec.structs.replace(
            said, cordoned=kept.cordoned, drain=kept.drain, drain_by_ms=kept.drain_by_ms
        )
    return _put(view, node, said, now_ms)


def drain_ends(view: View, node: str, now_ms: int) -> bool:
    """Say whether what runs on a node is to end now, for its drain (N2)."""
    entry = view.get(keys.node(node))
    if entry is None:
        return False
    record: NodeRecord = entry.noun
    over = 0 < record.drain_by_ms <= now_ms
    return record.drain == "requeue" or (record.drain == "finish" and over)


def running_on(view: View, node: str) -> int:
    """Return how many attempts a node has in the store."""
    return sum(1 for _, entry in view.scan("attempt/") if entry.noun.node == node)


def _change(view: View, node: str, now_ms: int, **changes: object) -> Txn | None:
    record = _record(view, node)
    return _put(view, node, msgspec.structs.replace(record, **changes), now_ms)


def _record(view: View, node: str) -> NodeRecord:
    """Return a node's record; one that has not described itself is known by its session."""
    entry = view.get(keys.node(node))
    if entry is not None:
        return entry.noun  # type: ignore[no-any-return]
    session = view.get(keys.session(node))
    if session is None:
        raise NotFound(f"no node {node!r}", remedy="`jobctl node list` lists them")
    return NodeRecord(session.noun.name)


def _put(view: View, node: str, record: NodeRecord, now_ms: int) -> Txn | None:
    key, entry = keys.node(node), view.get(keys.node(node))
    if entry is not None and entry.noun == record:
        return None
    check = absent(key) if entry is None else at(key, entry.revision)
    return Txn(checks=(check,), ops=((key, encode(record)),), now_ms=now_ms)
