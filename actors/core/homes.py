"""Homes: which voter decides first for a key, and how long the others leave it the time to.

Rules of this file:
H1  The voters whose session is up *in the view* are ranked by rendezvous hash: nodes that have
    applied the same revision agree, and a home moves only by a transaction, never on a heartbeat's
    word. While none is up, all voters are ranked.
H2  The home, rank 0, acts at once; the node of rank k acts k x RANK_MS later if the feed has not
    shown the decision. Two homes for a moment are harmless, since the store arbitrates; none would
    be worse.
H3  What belongs together has one home: a job with its tasks and attempts, the waiters of one
    concurrency key, the jobs of one bucket.
H4  A node that does not vote is nobody's home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from actors.core.peers import Peers
from actors.core.permits import key_hash
from actors.core.view import View
from actors.model import keys

__all__ = ["RANK_MS", "Homes", "home_key", "ranks"]

RANK_MS: Final = 500
_RANKED: Final = 65_536  # rankings kept: those of what is due now are asked for again soon


def ranks(view: View, voters: Sequence[str], key: str) -> tuple[str, ...]:
    """Return the voters whose session is up in the view, or all of them, in their order for a key.

    The first is the key's home.
    """
    return _ranked(_up(view, voters), key)


def home_key(view: View, key: str) -> str:
    """Return the key whose home decides for an entity of the due index (H3)."""
    kind, _, rest = key.partition("/")
    if kind in ("task", "attempt"):
        return keys.job(rest.partition("/")[0])
    if kind == "job":
        entry = view.get(key)
        if entry is not None and entry.noun.state == "waiting":
            spec = view.get(keys.spec(rest))
            assert spec is not None, "a job has its spec"
            return keys.permits_of(key_hash(spec.noun.concurrency[0].key))
    return key


class Homes:
    """The ranks of one node, kept while the set of sessions stays the same."""

    def __init__(self, view: View, peers: Peers) -> None:
        self._view = view
        self._peers = peers
        self._revision = -1
        self._voters: tuple[str, ...] = ()
        self._up: tuple[str, ...] = ()

    def rank(self, key: str) -> int | None:
        """Return this node's rank for a key: 0 is its home, None one that does not vote.

        A voter without a session is behind all that have one.
        """
        up, node = self.up, self._peers.node
        if up == (node,):
            return 0
        if node not in self._voters:
            return None
        ranked = _ranked(up, key)
        return ranked.index(node) if node in ranked else len(ranked)

    def wait_ms(self, key: str) -> int | None:
        """Return how long this node leaves a decision to the nodes before it, None for ever."""
        rank = self.rank(key)
        return None if rank is None else rank * RANK_MS

    @property
    def up(self) -> tuple[str, ...]:
        """The voters that are ranked, at the view's revision."""
        view, voters = self._view, self._peers.voters()
        if view.revision != self._revision or voters is not self._voters:
            self._revision, self._voters = view.revision, voters
            self._up = _up(view, voters)
        return self._up


def _up(view: View, voters: Sequence[str]) -> tuple[str, ...]:
    up = []
    for node in voters:
        entry = view.get(keys.session(node))
        if entry is not None and entry.noun.state == "up":
            up.append(node)
    return tuple(up or voters)


@lru_cache(_RANKED)
def _ranked(nodes: tuple[str, ...], key: str) -> tuple[str, ...]:
    """Order nodes by rendezvous: without one of them the order of the others stays as it is."""

    def weight(node: str) -> tuple[bytes, str]:
        mixed = f"{key}\0{node}".encode()
        return hashlib.blake2b(mixed, digest_size=8, person=b"jobd-home").digest(), node

    return tuple(sorted(nodes, key=weight))
