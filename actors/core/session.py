"""A node's session: the revision of `session/<node>` (R1, R2, R5).

Rules of this file:
S1  A new session always has a new incarnation, durable before it is put, also without a reboot.
S2  A loss names the session that it ends: it never ends the next one (I-l).
S3  Until its own session is applied in its view, a node claims nothing and sends its job supervisor
    nothing.
S4  What a node says of itself is put beside its session (`node_state.describe`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.core.node_state import describe
from actors.core.store.txn import Check, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.node import NodeRecord
from actors.model.session import Session

__all__ = ["end_session", "is_superseded", "open_session", "session_revision"]


def open_session(
    view: View,
    node: str,
    incarnation: int,
    name: str,
    now_ms: int,
    *,
    record: NodeRecord | None = None,
) -> Txn:
    """Return the transaction that opens a session, over whatever the view knows of this node.

    After a Conflict the node asks anew: it has its session, is superseded, or submits again.
    """
    assert not is_superseded(view, node, incarnation), "a later incarnation has this identity"
    key = keys.session(node)
    session = Session("up", incarnation, now_ms, name)
    described = describe(view, node, record, now_ms=now_ms) if record is not None else None
    return Txn(
        checks=(_as_known(view, key), *(described.checks if described else ())),
        ops=((key, encode(session)), *(described.ops if described else ())),
        events=(EventDraft("jobd:node:joined", key, {"node": node, "name": name}),),
        now_ms=now_ms,
    )


def _as_known(view: View, key: str) -> Check:
    known = view.get(key)
    return absent(key) if known is None else at(key, known.revision)


def session_revision(view: View, node: str, incarnation: int) -> int | None:
    """Return the number of this incarnation's session, None while it is not applied or not up."""
    entry = view.get(keys.session(node))
    if entry is None or entry.noun.state != "up" or entry.noun.incarnation != incarnation:
        return None
    return entry.revision


def is_superseded(view: View, node: str, incarnation: int) -> bool:
    """Say whether another process has this node's identity: the caller must stop."""
    entry = view.get(keys.session(node))
    return entry is not None and entry.noun.incarnation > incarnation


def end_session(view: View, node: str, state: Literal["lost", "left"], now_ms: int) -> Txn | None:
    """Return the transaction that declares a session lost or left, None when it is not up."""
    key, entry = keys.session(node), view.get(keys.session(node))
    if entry is None or entry.noun.state != "up":
        return None
    ended = msgspec.structs.replace(entry.noun, state=state, since_ms=now_ms)
    return Txn(
        checks=(at(key, entry.revision),),
        ops=((key, encode(ended)),),
        events=(EventDraft(f"jobd:node:{state}", key, {"node": node, "name": ended.name}),),
        now_ms=now_ms,
    )
