"""The level of a cluster: which value schema its nodes write, and when it rises.

Rules of this file:
V1  The level is the highest that every voter, and every other node whose session is up, says in
    its record that it reads. While one of them has no record, it does not rise.
V2  It never falls: a node that reads less than the cluster writes has the condition
    `upgrade_needed`, and leaves alone what it can't read.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.level import Level

__all__ = ["level_of", "raise_level"]

_FIRST = 1


def level_of(view: View) -> int:
    """Return the level of the cluster."""
    entry = view.get(keys.cluster("level"))
    return entry.noun.level if entry is not None else _FIRST


def raise_level(view: View, voters: Iterable[str], now_ms: int) -> Txn | None:
    """Return the transaction that raises the level, None when some node reads no more than it."""
    up = {keys.last(key) for key, entry in view.scan("session/") if entry.noun.state == "up"}
    records = [view.get(keys.node(node)) for node in sorted({*voters, *up})]
    level = min(entry.noun.level if entry is not None else _FIRST for entry in records)
    if level <= level_of(view):
        return None
    key = keys.cluster("level")
    known = view.get(key)
    return Txn(
        checks=(absent(key) if known is None else at(key, known.revision),),
        ops=((key, encode(Level(level))),),
        now_ms=now_ms,
    )
