"""Joining a cluster: an empty node asks any node of it, and becomes one that follows.

Rules:
J1  A node joins empty. What it had before would be of another cluster, and neither would have it
    whole; `jobctl store export|import` moves data.
J2  A one-time token stands for the operator's wish: the join consumes it in the same transaction
    that puts the node's record. A node whose record is there is let in again without one, as long
    as its key is the same: it may have been cut short behind the transaction.
J3  Who has joined follows, and votes only once it is made a member (`membership.add`).
"""

from __future__ import annotations

import msgspec

from actors import limits
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import View
from actors.errors import Busy, Conflict, Unauthenticated
from actors.model import keys
from actors.model.codec import encode
from actors.model.epoch import Epoch, Member
from actors.model.event import EventDraft
from actors.model.join_token import JoinToken
from actors.model.node import NodeRecord
from actors.model.token import hash_secret

__all__ = ["JOIN_TYPES", "JoinCluster", "Joined", "admit", "mint", "reachable", "welcome"]

_REMEDY = "make another one: `jobctl cluster token`"


class JoinCluster(msgspec.Struct, frozen=True):
    """An empty node asks to be let in; answered with Joined."""

    node: str
    record: NodeRecord
    token_id: str = ""
    secret: str = ""


class Joined(msgspec.Struct, frozen=True):
    """The node is of the cluster now. `nodes`: whom it may dial."""

    epoch: Epoch
    nodes: tuple[Member, ...]


JOIN_TYPES = (JoinCluster, Joined)


def mint(
    view: View, token_id: str, secret: str, *, key: bytes, expires_ms: int, now_ms: int
) -> Txn:
    """Return what makes a join token. Raises Busy above JOIN_TOKENS."""
    expired = [
        (name, None) for name, entry in view.scan("jointoken/") if entry.noun.expires_ms <= now_ms
    ]
    if view.count("jointoken") - len(expired) >= limits.JOIN_TOKENS:
        raise Busy(f"there are {limits.JOIN_TOKENS} join tokens", remedy="wait until one runs out")
    place = keys.join_token(token_id)
    token = JoinToken(hash_secret(secret), now_ms, expires_ms, key)
    return Txn((absent(place),), (*expired, (place, encode(token))), now_ms=now_ms)


def admit(view: View, ask: JoinCluster, *, needs_token: bool, now_ms: int) -> Txn | None:
    """Return what lets a node in, None when it is in already. Raises Unauthenticated, Conflict."""
    place = keys.node(ask.node)
    known = view.get(place)
    if known is not None:
        if known.noun.key != ask.record.key:
            raise Conflict(
                f"node {ask.node} has another key",
                remedy="two directories have one id: empty this one, and join anew",
            )
        return None
    checks: list[Check] = [absent(place)]
    ops: list[Op] = [(place, encode(ask.record))]
    if needs_token:
        used, drop = _used(view, ask, now_ms)
        checks.append(used)
        ops.append(drop)
    data = {"node": ask.node, "name": ask.record.name}
    told = EventDraft("jobd:node:joined", f"node/{ask.node}", data)
    return Txn(tuple(checks), tuple(ops), (told,), now_ms=now_ms)


def _used(view: View, ask: JoinCluster, now_ms: int) -> tuple[tuple[str, int], Op]:
    place = keys.join_token(ask.token_id)
    entry = view.get(place) if ask.token_id else None
    if entry is None or not entry.noun.accepts(ask.secret, now_ms):
        what = "its token is not known, used or out of date" if ask.token_id else "it has no token"
        raise Unauthenticated(f"the node may not join: {what}", remedy=_REMEDY)
    return at(place, entry.revision), (place, None)


def welcome(view: View, epoch: Epoch) -> Joined:
    """Return what a node is told that was let in."""
    return Joined(epoch, reachable(view, epoch))


def reachable(view: View, epoch: Epoch) -> tuple[Member, ...]:
    """Return all nodes of a cluster that can be dialled, with what their records say last."""
    found = {member.node: member for member in epoch.members if member.address}
    for key, entry in view.scan("node/"):
        if entry.noun.address:
            node = keys.last(key)
            found[node] = Member(node, entry.noun.address, entry.noun.key)
    return tuple(found[node] for node in sorted(found))
