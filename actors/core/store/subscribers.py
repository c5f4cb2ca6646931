"""Who follows the feed, and whom a commit concerns.

A subscriber pulls from its own cursor, so being left out costs it nothing: the next time it is told
it takes everything since. It is told at least every FEED_TAKE revisions, and stays on the ring.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors import limits

__all__ = ["Subscribers"]


class _Subscriber(msgspec.Struct):
    kinds: frozenset[str]  # of keys; none: all
    told: int  # the revision up to which it knows that there is more


class Subscribers:
    """Actors by address, in the order in which they came."""

    def __init__(self) -> None:
        self._by_address: dict[str, _Subscriber] = {}

    def add(self, address: str, kinds: Iterable[str], revision: int) -> None:
        """Have one follow commits above a revision; a restarted one subscribes again."""
        self._by_address[address] = _Subscriber(frozenset(kinds), revision)

    def concerned(self, kinds: set[str], revision: int) -> list[str]:
        """Return whom to tell that keys of these kinds were committed up to a revision."""
        addresses = []
        for address, each in self._by_address.items():
            is_behind = revision - each.told >= limits.FEED_TAKE
            if not each.kinds or is_behind or not each.kinds.isdisjoint(kinds):
                each.told = revision
                addresses.append(address)
        return addresses
